"""transformers' Whisper encoder at any size with random weights, and the features of all layers."""

import torch
from transformers import WhisperConfig, WhisperModel

NARROW = {
    "d_model": 48,
    "encoder_attention_heads": 3,
    "encoder_layers": 2,
    "encoder_ffn_dim": 100,
    "num_mel_bins": 20,
    "max_source_positions": 75,
    "decoder_layers": 1,
    "decoder_attention_heads": 3,
    "decoder_ffn_dim": 8,
    "vocab_size": 16,
    "max_target_positions": 4,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "decoder_start_token_id": 0,
}
TINY = {"d_model": 384, "encoder_attention_heads": 6, "encoder_layers": 4, "encoder_ffn_dim": 1536}


class Encoder(torch.nn.Module):
    def __init__(self, **settings):
        super().__init__()
        self.config = WhisperConfig(**{**NARROW, **settings})
        self.model = WhisperModel(self.config)

    def forward(self, mel):
        """(N,T,layers+1,C): in front of the first layer and behind each; and the normalised end."""
        states, encoder = [], self.model.encoder
        keep = [
            encoder.layers[0].register_forward_pre_hook(lambda _, given: states.append(given[0])),
            *(
                e.register_forward_hook(lambda _, __, out: states.append(out))
                for e in encoder.layers
            ),
        ]
        last = encoder(mel).last_hidden_state
        for hook in keep:
            hook.remove()
        return torch.stack([s[0] if isinstance(s, tuple) else s for s in states], 2), last

    def state_dict(self, *_, **__):
        return self.model.state_dict()


def random_encoder(seed=1, **settings):
    torch.manual_seed(seed)
    network = Encoder(**settings)
    with torch.no_grad():
        for name, value in network.model.encoder.named_parameters():
            if name.endswith("bias"):
                value.normal_(0, 0.1)
            elif "norm" in name:
                value.uniform_(0.5, 1.5)
            elif "positions" not in name:
                value.normal_(0, (2 / value[0].numel()) ** 0.5)
    return network.eval()


def original_names(state):
    """The encoder's keys as OpenAI's own checkpoint has them."""
    parts = {
        "self_attn_layer_norm": "attn_ln",
        "self_attn.q_proj": "attn.query",
        "self_attn.k_proj": "attn.key",
        "self_attn.v_proj": "attn.value",
        "self_attn.out_proj": "attn.out",
        "final_layer_norm": "mlp_ln",
        "fc1": "mlp.0",
        "fc2": "mlp.2",
        "encoder.layers": "encoder.blocks",
        "encoder.layer_norm": "encoder.ln_post",
        "encoder.embed_positions.weight": "encoder.positional_embedding",
    }
    out = {}
    for key, value in state.items():
        if key.startswith("encoder."):
            for new, old in parts.items():
                key = key.replace(new, old)
            out[key] = value
    return {**out, "decoder.token_embedding.weight": torch.zeros(3, 3)}

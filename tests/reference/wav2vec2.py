"""transformers' Wav2Vec2Model at any size, with random weights that keep every layer awake."""

import torch
from transformers import Wav2Vec2Config, Wav2Vec2Model

# Narrow networks; each key differs from the base configuration in what it says.
NARROW = {
    "conv_dim": (24,) * 7,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 72,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
LAYER = {"feat_extract_norm": "layer", "conv_bias": True}
LAYOUTS = {
    "base": {},
    "large": {**LAYER, "do_stable_layer_norm": True},
    "layer-not-stable": {**LAYER, "do_stable_layer_norm": False, "layer_norm_eps": 1e-3},
    "group-stable": {"do_stable_layer_norm": True, "num_conv_pos_embeddings": 9},
    "group-with-bias": {"conv_bias": True, "hidden_act": "gelu_new"},
    "few-convolutions": {
        "conv_dim": (24, 40, 33),
        "conv_kernel": (8, 5, 2),
        "conv_stride": (3, 4, 1),
        "num_feat_extract_layers": 3,
        "feat_extract_activation": "silu",
    },
}


class Encoder(torch.nn.Module):
    """The model, giving its last hidden state only."""

    def __init__(self, **settings):
        super().__init__()
        self.config = Wav2Vec2Config(**settings)
        self.model = Wav2Vec2Model(self.config)

    def forward(self, wave):
        return self.model(wave).last_hidden_state

    def state_dict(self, *_, **__):
        return self.model.state_dict()


def random_encoder(layout="base", seed=1, narrow=True):
    torch.manual_seed(seed)
    network = Encoder(**{**(NARROW if narrow else {}), **LAYOUTS[layout]})
    with torch.no_grad():
        for name, value in network.model.named_parameters():
            if name.endswith("bias"):
                value.normal_(0, 0.1)
            elif "norm" in name and value.dim() == 1:
                value.uniform_(0.5, 1.5)
            elif name.endswith("original0"):
                value.uniform_(0.5, 2)
            elif "original1" not in name and value.dim() > 1:
                value.normal_(0, (2 / value[0].numel()) ** 0.5)
    return network.eval()


def random_wave(batch, samples, seed):
    """Noise that swells and fades, with zero mean and unit variance over each clip."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, samples, generator=g).cumsum(1)
    x = x - torch.nn.functional.avg_pool1d(x[:, None], 31, 1, 15)[:, 0]
    x = x * (1.2 + torch.sin(torch.arange(samples) / 700))
    return (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, correction=0) + 1e-7).sqrt()

"""UNet2DConditionModel of diffusers with random weights, at plans like the published ones."""

import torch
from diffusers import UNet2DConditionModel

PLANS = {
    # tiny: one of each block; odd: widths, heads and groups that no vector length divides
    "tiny": {"channels": (8, 16), "heads": 2, "groups": 4, "layers": 1, "context": 12},
    "odd": {"channels": (6, 12, 18), "heads": 3, "groups": 3, "layers": 1, "context": 7},
    "v2": {"channels": (16, 32, 64), "heads": 4, "groups": 8, "layers": 1, "context": 24},
    "v3": {"channels": (32, 32, 64, 96), "heads": 8, "groups": 16, "layers": 2, "context": 40},
    "v1": {"channels": (16, 16, 32), "heads": 4, "groups": 8, "layers": 2, "inputs": 4},
    "sd2": {"channels": (16, 32, 64), "heads": (2, 4, 8), "groups": 8, "linear": True, "depth": 2},
    "v3_small": {"channels": (64, 128, 128, 256), "heads": 8, "layers": 2, "context": 768},
}


def random_unet(channels, heads, groups=32, layers=1, context=24, seed=1, **more):
    torch.manual_seed(seed)
    levels = len(channels)
    settings = {
        "in_channels": more.pop("inputs", 8),
        "use_linear_projection": more.pop("linear", False),
        "transformer_layers_per_block": more.pop("depth", 1),
    }
    model = UNet2DConditionModel(
        out_channels=4,
        block_out_channels=channels,
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        layers_per_block=layers,
        norm_num_groups=groups,
        cross_attention_dim=context,
        attention_head_dim=heads,
        **settings,
        **more,
    )
    for name, value in model.named_parameters():
        if value.dim() == 1:  # norms and biases that do nothing would hide mistakes
            torch.nn.init.uniform_(value, -0.2, 0.2)
            if "norm" in name and name.endswith("weight"):
                value.data += 1
    return model.eval()


def random_inputs(model, batch, height, width, tokens=10, steps=(0.0,), seed=0):
    """Inputs by the names of the program."""
    random = torch.Generator().manual_seed(seed)
    config = model.config
    return {
        "sample": torch.randn(batch, config.in_channels, height, width, generator=random),
        "timestep": torch.tensor(steps, dtype=torch.float32),
        "encoder_hidden_states": torch.randn(
            batch, tokens, config.cross_attention_dim, generator=random
        ),
    }


def run(model, inputs):
    with torch.no_grad():
        return model(**inputs).sample.numpy()

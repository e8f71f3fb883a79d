"""AutoencoderKL of diffusers with random weights, and its files as people have them."""

import re
from argparse import Namespace
from collections import OrderedDict

import torch
from diffusers import AutoencoderKL

PLANS = {
    # tiny: no down sampler at all; odd: widths and groups that no vector length divides
    "tiny": {"channels": (8,), "groups": 4, "layers": 1},
    "odd": {"channels": (6, 9, 15), "groups": 3, "layers": 2},
    "narrow": {"channels": (16, 32, 64, 64), "groups": 8, "layers": 2},
    "sd": {"channels": (128, 256, 512, 512), "groups": 32, "layers": 2},
}
OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


def random_vae(channels, groups, layers, seed=1, **settings):
    torch.manual_seed(seed)
    model = AutoencoderKL(
        block_out_channels=channels,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        layers_per_block=layers,
        norm_num_groups=groups,
        latent_channels=4,
        **settings,
    )
    for name, value in model.named_parameters():
        if value.dim() == 1:  # norms and biases that do nothing would hide mistakes
            torch.nn.init.uniform_(value, -0.2, 0.2)
            if "norm" in name and name.endswith("weight"):
                value.data += 1
    return model.eval()


def encode(model, image):
    with torch.no_grad():
        return model.encode(image).latent_dist.parameters.numpy()


def decode(model, latent):
    with torch.no_grad():
        return model.decode(latent).sample.numpy()


def random_image(batch, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, height, width, generator=generator) * 2 - 1


def random_latent(batch, height, width, seed=0):
    return torch.randn(batch, 4, height, width, generator=torch.Generator().manual_seed(seed))


def with_old_names(state):
    """The attention's names before diffusers 0.15."""
    renamed = OrderedDict()
    for key, value in state.items():
        for new, old in OLD_NAMES.items():
            key = key.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        renamed[key] = value
    return renamed


ORIGINAL_NAMES = [
    (r"down_blocks\.(\d+)\.resnets", r"down.\1.block"),
    (r"down_blocks\.(\d+)\.downsamplers\.0\.", r"down.\1.downsample."),
    (r"up_blocks\.(\d+)\.resnets", r"up.\1.block"),
    (r"up_blocks\.(\d+)\.upsamplers\.0\.", r"up.\1.upsample."),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0\.group_norm", "mid.attn_1.norm"),
    (r"mid_block\.attentions\.0\.to_([qkv])", r"mid.attn_1.\1"),
    (r"mid_block\.attentions\.0\.to_out\.0", "mid.attn_1.proj_out"),
    (r"conv_norm_out", "norm_out"),
    (r"conv_shortcut", "nin_shortcut"),
]


def with_original_names(state, prefix=""):
    """As CompVis stores it: the decoder's blocks backwards, projections as 1x1 convolutions."""
    blocks = len({key.split(".")[2] for key in state if key.startswith("decoder.up_blocks.")})
    renamed = OrderedDict()
    for key, value in state.items():
        for ours, theirs in ORIGINAL_NAMES:
            key = re.sub(ours, theirs, key)
        key = re.sub(r"^decoder\.up\.(\d+)", lambda m: f"decoder.up.{blocks - 1 - int(m[1])}", key)
        if ".attn_1." in key and value.dim() == 2:
            value = value[:, :, None, None]
        renamed[prefix + key] = value
    return renamed


def lightning_checkpoint(state, prefix="vae.", beside="unet.conv_in.weight"):
    """A training's file: the network among other modules, an optimizer, and objects of Python."""
    others = {"syncnet.weight": torch.ones(3, 5), beside: torch.ones(2, 2)}
    return {
        "epoch": 3,
        "global_step": 1200,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": OrderedDict([*others.items(), *((prefix + k, v) for k, v in state.items())]),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 3}}}},
        "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.25)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(4)}}, "param_groups": [{}]}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": Namespace(lr=1e-4, betas=(0.9, 0.99), shape=torch.Size((2, 3))),
    }

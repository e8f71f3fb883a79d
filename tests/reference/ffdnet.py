"""FFDNet in its two forms, at any width and depth, for images of any size.

Traps: IPOL's puts the planes of sigma first and computes the noise, the author's puts one plane
last and computes the image; both gray ones read five channels.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .random_init import disturb_batch_norms, he_init

IPOL = "intermediate_dncnn.itermediate_dncnn"


def conv(cin, cout, bias):
    return nn.Conv2d(cin, cout, 3, padding=1, bias=bias)


def ipol_layers(channels, width, depth):
    layers = [conv(5 * channels, width, False), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [conv(width, width, False), nn.BatchNorm2d(width), nn.ReLU()]
    return [*layers, conv(width, 4 * channels, False)]


def author_layers(channels, width, depth):
    layers = [conv(4 * channels + 1, width, True), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [conv(width, width, True), nn.ReLU()]
    return [*layers, conv(width, 4 * channels, True)]


class FFDNet(nn.Module):
    def __init__(self, kind, channels, width, depth, prefix):
        super().__init__()
        self.residual, self.planes = kind == "ipol", channels if kind == "ipol" else 1
        make = ipol_layers if self.residual else author_layers
        self.layers = nn.Sequential(*make(channels, width, depth))
        # registered under the name that the checkpoint has
        parent, _, name = prefix.rpartition(".")
        holder = self
        if parent:
            holder = nn.Module()
            self.add_module(parent, holder)
        holder.add_module(name, self.layers)

    def state_dict(self, *args, **kwargs):
        state = super().state_dict(*args, **kwargs)
        return {k: v for k, v in state.items() if not k.startswith("layers.")}

    def forward(self, image, sigma):
        height, width = image.shape[2:]
        image = F.pad(image, (0, width % 2, 0, height % 2), mode="replicate")
        x = F.pixel_unshuffle(image, 2)
        level = sigma if sigma.dim() == 4 else sigma.view(-1, 1, 1, 1)
        level = level.expand(x.shape[0], self.planes, *x.shape[2:])
        x = torch.cat([level, x] if self.residual else [x, level], 1)
        x = F.pixel_shuffle(self.layers(x), 2)
        x = image - x if self.residual else x
        return x[..., :height, :width]


def random_ffdnet(kind="ipol", channels=3, width=12, depth=5, prefix=None, seed=1):
    g = torch.Generator().manual_seed(seed)
    model = FFDNet(kind, channels, width, depth, prefix or (IPOL if kind == "ipol" else "model"))
    he_init(model.layers, g)
    disturb_batch_norms(model, lambda: model(*random_inputs(4, channels, 32, 32, seed)), g)
    return model.eval()


def loaded(path, kind, prefix, channels):
    """The network with weights from a file, its width and depth as found there."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = {k.removeprefix("module."): v for k, v in state.items()}
    convs = [v for v in state.values() if v.dim() == 4]
    model = FFDNet(kind, channels, convs[0].shape[0], len(convs), prefix)
    own = model.state_dict()
    assert {k for k in own if "num_batches" not in k} == set(state)
    with torch.no_grad():
        for key, value in state.items():
            own[key].copy_(value)
    return model.eval()


def random_inputs(batch, channels, height, width, seed, levels=None):
    """Pixels in [0,1] and levels up to 0.3, one each or `levels` of them."""
    g = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, channels, height, width, generator=g)
    return image, torch.rand(levels or batch, generator=g) * 0.3

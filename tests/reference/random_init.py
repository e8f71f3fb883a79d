"""Random weights under which a deep network still says something.

Plain random numbers make activations of a forty layer network vanish or explode, and a sigmoid
behind them saturate, so that a comparison passes whatever was computed. Here batch norms are
calibrated on a random batch and then disturbed, so that no statistic is trivial and every
activation stays near 1.
"""

import torch
from torch import nn


def he_init(module: nn.Module, generator: torch.Generator, gain: float = 1.0) -> None:
    """He-normal weights and small biases for every convolution."""
    for layer in module.modules():
        if not isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            continue
        if isinstance(layer, nn.ConvTranspose2d):
            # Each output sees about k*k/stride^2 taps of every input channel.
            taps = layer.weight.shape[2] * layer.weight.shape[3]
            fan_in = layer.in_channels * max(1.0, taps / (layer.stride[0] * layer.stride[1]))
        else:
            fan_in = layer.weight[0].numel()
        std = gain * (2.0 / fan_in) ** 0.5
        with torch.no_grad():
            layer.weight.normal_(0.0, std, generator=generator)
            if layer.bias is not None:
                layer.bias.normal_(0.0, 0.1, generator=generator)


def disturb_batch_norms(module: nn.Module, run, generator: torch.Generator) -> None:
    """Random gamma and beta, then mean and var near what `run()` meets, but not equal to it."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.1, generator=generator)
            # Centred at 0, each ReLU would cut half of the signal and the network would magnify
            # rounding errors a hundredfold, PyTorch's own included. Trained networks do not.
            norm.bias.normal_(0.5, 0.3, generator=generator)
            norm.momentum = 1.0  # the running statistics become those of the one batch
        module.train()
        run()
        module.eval()
        for norm in norms:
            # Layers of 1x1 pixels have too few samples for one channel's variance: a channel that
            # happens to be flat would be amplified without limit.
            var = norm.running_var
            var.add_(var.mean()).mul_(0.5)
            factor = torch.empty_like(var).uniform_(0.7, 1.5, generator=generator)
            noise = torch.empty_like(var).normal_(0.0, 0.3, generator=generator)
            norm.running_mean.add_(noise * var.sqrt())
            var.mul_(factor)
            norm.momentum = 0.1
            norm.num_batches_tracked.fill_(int(1e6))

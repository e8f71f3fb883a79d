"""Trains FFDNet (IPOL layout, narrow) on the images of textures.py, noise 0 to 75 of 255.

    python3 tools/training/ffdnet.py --color        # writes data/weights/ffdnet_color.safetensors
    python3 tools/training/ffdnet.py --gray

The images used for watching (--watch FOLDER) never touch the weights.
"""

import argparse
import glob
import os
import time

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import common
import textures

CONFIGS = {
    "color": {"channels": 3, "width": 64, "layers": 12, "steps": 14000, "seed": 11},
    "gray": {"channels": 1, "width": 48, "layers": 12, "steps": 15000, "seed": 12},
}
PATCH, BATCH = 72, 8
LAST_FULL = 60  # steps at the end in full precision
EPSILON = 1e-5  # of the BatchNorm that readers of the file apply


class FFDNet(nn.Module):
    """Trained with plain biases: noise of many strengths in one batch makes BatchNorm's statistics
    jump. With it the network needed 4800 steps for what it learns without it in 720.
    `ipol_layout` writes the biases as BatchNorm.
    """

    def __init__(self, channels, width, layers):
        super().__init__()
        self.channels = channels
        stack = [nn.Conv2d(5 * channels, width, 3, padding=1, bias=False)]
        stack += [nn.Conv2d(width, width, 3, padding=1) for _ in range(layers - 2)]
        stack += [nn.Conv2d(width, 4 * channels, 3, padding=1, bias=False)]
        for layer in stack:
            nn.init.orthogonal_(layer.weight, 2**0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        stack[-1].weight.data *= 0.1  # begins near "no noise", not at a wild guess
        self.stack = nn.ModuleList(stack)

    def forward(self, image, sigma):
        """The predicted noise; even heights and widths only."""
        x = F.pixel_unshuffle(image, 2)
        plane = sigma.view(-1, 1, 1, 1).expand(-1, self.channels, *x.shape[2:])
        x = torch.cat([plane, x], 1).contiguous(memory_format=torch.channels_last)
        for layer in self.stack[:-1]:
            x = F.relu(layer(x), inplace=True)
        return F.pixel_shuffle(self.stack[-1](x), 2)


def ipol_layout(model):
    """State dict with upstream's names (its spelling too): convolutions at 0, 2, 5, 8, ...,
    BatchNorm after each but the first and the last."""
    prefix = "intermediate_dncnn.itermediate_dncnn."
    tensors = {}
    for i, layer in enumerate(model.stack):
        index = 0 if i == 0 else 3 * i - 1
        tensors[f"{prefix}{index}.weight"] = layer.weight
        if layer.bias is not None:
            norm = f"{prefix}{index + 1}."
            ones = torch.ones_like(layer.bias)
            tensors.update(
                {
                    norm + "weight": ones,
                    norm + "bias": layer.bias,
                    norm + "running_mean": 0 * ones,
                    norm + "running_var": ones - EPSILON,
                }
            )
    return tensors


class Orthogonal(torch.optim.Optimizer):
    """Moves each matrix of weights by about the nearest orthogonal matrix to its averaged gradient,
    so that all directions learn at one speed (Muon). For this chain 250 such steps did more than
    1500 of Adam's."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.0})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["mean"] = torch.zeros_like(weight, memory_format=torch.contiguous_format)
                state["mean"].mul_(0.95).add_(weight.grad)
                x = (weight.grad + 0.95 * state["mean"]).flatten(1)
                x = x / (x.norm() + 1e-7)
                # Newton-Schulz, with coefficients that bring all singular values near 1.
                for _ in range(5):
                    square = x @ x.T
                    x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
                weight.add_(x.view_as(weight), alpha=-group["lr"])


class Both:
    """Orthogonal for the middle convolutions, Adam for the ends and the biases."""

    def __init__(self, model):
        middle = [layer.weight for layer in model.stack[1:-1]]
        inside = {id(weight) for weight in middle}
        others = [p for p in model.parameters() if id(p) not in inside]
        self.parts = [
            (Orthogonal(middle), 2e-2),
            (torch.optim.Adam(others, betas=(0.9, 0.99)), 6e-4),
        ]

    def step(self, share):
        """`share` of the full rates, 0 to 1."""
        for optimizer, rate in self.parts:
            common.set_rate(optimizer, rate * share)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self):
        return [optimizer.state_dict() for optimizer, _ in self.parts]

    def load_state_dict(self, states):
        for (optimizer, _), state in zip(self.parts, states):
            optimizer.load_state_dict(state)


def batch(pool, rng, channels):
    """Random patches in 0..1, turned and mirrored."""
    out = np.empty((BATCH, PATCH, PATCH, pool.shape[3]), np.uint8)
    limit = textures.SIZE - PATCH + 1
    for i in range(BATCH):
        y, x = rng.integers(0, limit, 2)
        patch = pool[rng.integers(len(pool)), y : y + PATCH, x : x + PATCH]
        patch = np.rot90(patch, rng.integers(4))
        out[i] = patch[:, ::-1] if rng.integers(2) else patch
    return torch.from_numpy(out).permute(0, 3, 1, 2).float().div_(255)


def denoise(model, noisy, sigma):
    """numpy (H,W,C) in 0..1 -> the same; odd sizes are padded with the last row and column."""
    height, width = noisy.shape[:2]
    x = torch.from_numpy(np.pad(noisy, ((0, height % 2), (0, width % 2), (0, 0)), "edge")).permute(
        2, 0, 1
    )[None]
    with torch.no_grad():
        x = x - model(x, torch.tensor([sigma]))
    return x[0].permute(1, 2, 0).numpy()[:height, :width].clip(0, 1)


def psnr(a, b):
    return float(10 * np.log10(1 / np.mean((np.float64(a) - np.float64(b)) ** 2)))


def read_image(path, channels):
    if channels == 1:
        return np.float32(cv2.imread(path, cv2.IMREAD_GRAYSCALE))[..., None] / 255
    return np.float32(cv2.imread(path)[..., ::-1]) / 255


def watch(model, paths, channels, sigma=25 / 255):
    """Mean PSNR over the images of a folder, at one sigma, with noise of a fixed seed."""
    scores = []
    for i, path in enumerate(paths):
        clean = read_image(path, channels)
        noise = np.random.default_rng(i).standard_normal(clean.shape, dtype=np.float32)
        scores.append(psnr(denoise(model, clean + sigma * noise, sigma), clean))
    return sum(scores) / len(scores)


def train(name, options):
    config = CONFIGS[name]
    channels, steps = config["channels"], options.steps or config["steps"]
    common.one_thread()
    common.seed_all(config["seed"])
    model = FFDNet(channels, config["width"], config["layers"]).to(
        memory_format=torch.channels_last
    )
    optimizer = Both(model)
    state_path = os.path.join(common.work_folder("ffdnet"), name + ".pt")
    rng = np.random.default_rng([config["seed"], 0])
    state = common.load_state(state_path, model, optimizer)
    step = 0
    if state:
        step, rng = state["step"], state["rng"]
    pool = textures.pool(options.images)
    if channels == 1:
        pool = np.stack([cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in pool])[..., None]
    watched = sorted(glob.glob(os.path.join(options.watch, "*.png"))) if options.watch else []
    progress = common.Progress("ffdnet_" + name, steps, BATCH, step)
    saved = time.time()
    while step < steps:
        full = step >= steps - LAST_FULL
        clean = batch(pool, rng, channels)
        sigma = torch.from_numpy(rng.uniform(0, 75 / 255, BATCH).astype(np.float32))
        noise = torch.randn_like(clean) * sigma.view(-1, 1, 1, 1)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=not full):
            predicted = model(clean + noise, sigma)
        # The root of each patch's error: noise of 75 does not outweigh noise of 5.
        error = (predicted.float() - noise).square().mean((1, 2, 3))
        loss = (error + 1e-7).sqrt().mean()
        loss.backward()
        optimizer.step(min(1, (step + 1) / 100) * (1 - step / steps))
        step += 1
        progress.step(step, loss.item())
        if watched and (step % (steps // 8) == 0 or step == steps):
            progress.write(
                f"step {step} watched PSNR at 25: {watch(model, watched, channels):.2f} dB"
            )
        if time.time() - saved > 60 or step == steps:
            common.save_state(state_path, step, model, optimizer, rng=rng)
            saved = time.time()
    note = f"denoises {name} images, sigma 0 to 75 of 255; trained on procedural images only"
    common.save_half(
        os.path.join(common.WEIGHTS, f"ffdnet_{name}.safetensors"),
        ipol_layout(model),
        "ffdnet",
        "ffdnet.py --" + name,
        note,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--color", action="store_true")
    kind.add_argument("--gray", action="store_true")
    parser.add_argument("--images", type=int, default=400, help="of the training pool")
    parser.add_argument("--steps", type=int, help="instead of the configured number")
    parser.add_argument("--watch", help="folder of PNG images to measure on while training")
    options = parser.parse_args()
    train("color" if options.color else "gray", options)

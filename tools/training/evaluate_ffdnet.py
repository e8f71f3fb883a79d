"""Figures of the shipped FFDNet denoisers beside the published weights and two classical denoisers.

The photographs and the published weights are not part of the project: they are looked for in
../shared/data, or where RUN_MODEL_TEST_DATA says.
"""

import glob
import os

import numpy as np

import common
import ffdnet
import run_arrays

DATA = os.environ.get("RUN_MODEL_TEST_DATA") or os.path.join(
    os.path.dirname(common.ROOT), "shared", "data"
)
SIGMA = 25 / 255
BEHIND = 1.2  # decibels the shipped weights may be behind the published ones
SETS = [
    ("colour", 3, "CBSD68", "ffdnet_color.safetensors", "ffdnet_ipol_rgb.pth"),
    ("gray", 1, "Set12", "ffdnet_gray.safetensors", "ffdnet_author_gray.pth"),
]


def noisy_pairs(folder, channels, count=None):
    """(clean, noisy) of each photograph, (H,W,C) float32; each has noise of a seed of its own."""
    for i, path in enumerate(
        sorted(glob.glob(os.path.join(DATA, "media", "denoise", folder, "*.png")))[:count]
    ):
        clean = ffdnet.read_image(path, channels)
        yield clean, clean + np.float32(SIGMA) * np.random.default_rng(i).standard_normal(
            clean.shape, np.float32
        )


def network(program, weights):
    def denoise(noisy):
        image = noisy.transpose(2, 0, 1)[None]
        inputs = {"image": image, "sigma": np.float32([SIGMA])}
        return run_arrays.run(program, "ffdnet", weights, inputs, "denoised")[0].transpose(1, 2, 0)

    return denoise


def wavelets(noisy):
    from skimage.restoration import denoise_wavelet  # only the comparison needs it

    return denoise_wavelet(
        noisy,
        sigma=SIGMA,
        method="BayesShrink",
        mode="soft",
        rescale_sigma=True,
        convert2ycbcr=noisy.shape[2] == 3,
        channel_axis=-1,
    )


def non_local_means(fast, strength):
    from skimage.restoration import denoise_nl_means

    def denoise(noisy):
        axis = -1 if noisy.shape[2] == 3 else None  # a single channel confuses it
        image = noisy if axis else noisy[..., 0]
        done = denoise_nl_means(
            image,
            patch_size=5,
            patch_distance=6,
            h=strength * SIGMA,
            sigma=SIGMA,
            fast_mode=fast,
            channel_axis=axis,
        )
        return done.reshape(noisy.shape)

    return denoise


def mean_psnr(denoise, pairs):
    return float(
        np.mean([ffdnet.psnr(np.clip(denoise(noisy), 0, 1), clean) for clean, noisy in pairs])
    )


def measure(program, kind, channels, folder, shipped, published):
    pairs = list(noisy_pairs(folder, channels))
    if not pairs:
        return [(f"FFDNet {kind}", None, f"not measured, no photographs in {DATA}", True)]
    ours = mean_psnr(network(program, os.path.join(common.WEIGHTS, shipped)), pairs)
    what = f"FFDNet {kind}: PSNR of {len(pairs)} photographs with noise of 25, dB"
    rows = []
    path = os.path.join(DATA, "weights", published)
    if os.path.exists(path):
        theirs = mean_psnr(network(program, path), pairs)
        rows.append(
            (
                what,
                ours,
                f">= {theirs - BEHIND:.2f}, the published weights' {theirs:.2f} less {BEHIND}",
                ours >= theirs - BEHIND,
            )
        )
    else:
        rows.append((what, None, f"not measured, no published weights in {DATA}", True))
    # The strengths that scikit-image's documentation gives for the fast and for the exact variant.
    means = max(
        mean_psnr(non_local_means(True, 0.8), pairs), mean_psnr(non_local_means(False, 0.6), pairs)
    )
    for name, value in (("non-local means", means), ("wavelets", mean_psnr(wavelets, pairs))):
        rows.append(
            (
                f"FFDNet {kind}: ahead of {name} ({value:.2f} dB) by, dB",
                ours - value,
                "> 0",
                ours > value,
            )
        )
    return rows


def figures(program):
    """(name, value, bound, passes) of each figure."""
    return [row for each in SETS for row in measure(program, *each)]

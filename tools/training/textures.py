"""Procedural photographs: dead leaves with colours, shading, textures and strokes.

Leaves of power-law sizes that cover each other have the statistics of natural images: edges at
every scale, a 1/f spectrum. A denoiser learns edges from the leaves, textures from what fills them,
and smoothness from the shading.

    python3 tools/training/textures.py --count 400 --jobs 2   # the pool in build/training/textures
"""

import argparse
import multiprocessing
import os

import cv2
import numpy as np

import common

SIZE = 512  # of a finished image
OVERSAMPLE = 2  # drawn this much larger and averaged down: antialiased edges
CANVAS = SIZE * OVERSAMPLE


def power_noise(rng, size, exponent, stretch=1.0, angle=0.0):
    """Gaussian field with spectrum 1/f^exponent, mean 0, deviation 1; `stretch` > 1 draws it."""
    fy = np.fft.fftfreq(size)[:, None].astype(np.float32)
    fx = np.fft.rfftfreq(size)[None, :].astype(np.float32)
    u = np.cos(angle) * fx + np.sin(angle) * fy
    v = -np.sin(angle) * fx + np.cos(angle) * fy
    radius = np.sqrt((u * stretch) ** 2 + (v / stretch) ** 2)
    radius[0, 0] = 1
    amplitude = radius ** (-exponent / 2)
    amplitude[0, 0] = 0
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32)) * amplitude
    field = np.fft.irfft2(spectrum, s=(size, size)).astype(np.float32)
    return field / (field.std() + 1e-6)


def periodic(rng, size):
    """Stripes, grids or tiles, bent by a smooth field so that no two periods are alike."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    period = np.exp(rng.uniform(np.log(4), np.log(90)))
    bend = power_noise(rng, size, rng.uniform(3, 4)) * rng.uniform(0, 1.5) * period
    u = (np.cos(angle) * x + np.sin(angle) * y + bend) / period
    v = (-np.sin(angle) * x + np.cos(angle) * y + bend) / (period * np.exp(rng.uniform(-1, 1)))
    kind = rng.integers(5)
    sharpness = np.exp(rng.uniform(0, 2.5))
    wave = np.tanh(np.sin(2 * np.pi * u) * sharpness)
    if kind == 1:
        wave = wave + np.tanh(np.sin(2 * np.pi * v) * sharpness)
    elif kind == 2:  # bricks: every other row moved by half
        row = np.floor(v)
        wave = np.maximum(
            np.abs(u + 0.5 * (row % 2) - np.round(u + 0.5 * (row % 2))), np.abs(v - row - 0.5)
        ) > rng.uniform(0.36, 0.47)
    elif kind == 3:  # dots
        wave = ((u - np.round(u)) ** 2 + (v - np.round(v)) ** 2) < rng.uniform(0.05, 0.2)
    elif kind == 4:  # cells of random grey
        table = rng.standard_normal((64, 64)).astype(np.float32)
        wave = table[np.floor(u).astype(int) % 64, np.floor(v).astype(int) % 64]
    wave = wave.astype(np.float32)
    wave -= wave.mean()
    return wave / (wave.std() + 1e-6)


def field(rng):
    """One texture of CANVAS x CANVAS, mean 0, deviation 1."""
    kind = rng.random()
    if kind < 0.35:
        return power_noise(rng, CANVAS, rng.uniform(1.0, 3.2))
    if kind < 0.55:  # fur, bark, wood, water: noise with a direction
        return power_noise(
            rng, CANVAS, rng.uniform(1.2, 2.8), np.exp(rng.uniform(0.3, 1.4)), rng.uniform(0, np.pi)
        )
    if kind < 0.75:
        return periodic(rng, CANVAS)
    if kind < 0.9:  # foliage: noise cut into patches, with noise inside
        patches = np.tanh(
            power_noise(rng, CANVAS, rng.uniform(1.6, 2.8)) * np.exp(rng.uniform(0, 2))
        )
        mixed = patches + rng.uniform(0, 0.6) * power_noise(rng, CANVAS, rng.uniform(1, 2.5))
        return (mixed - mixed.mean()) / mixed.std()
    ridges = -np.abs(power_noise(rng, CANVAS, rng.uniform(2.2, 3.2)))
    return (ridges - ridges.mean()) / ridges.std()


def palette(rng):
    """A function giving colours of one scene: wide in brightness, narrow around a few tints."""
    tints = rng.normal(0, 1, (rng.integers(2, 7), 2)) * np.exp(rng.normal(-2.9, 0.7))
    tints[:, 1] = (
        0.7 * tints[:, 1] - 0.6 * tints[:, 0]
    )  # orange and blue are common, green and magenta less so
    cast = rng.normal(0, 0.03, 2)
    low, high = np.sort(rng.uniform(0, 1, 2))
    low, high = low * 0.6, 1 - (1 - high) * 0.6

    def colour():
        y = np.clip(rng.uniform(low, high) if rng.random() < 0.8 else rng.uniform(0, 1), 0.01, 1)
        cb, cr = (
            tints[rng.integers(len(tints))] * rng.uniform(0.3, 1.5) + cast + rng.normal(0, 0.012, 2)
        )
        strength = 0.35 + 0.65 * y  # dark colours are less saturated in numbers
        cb, cr = cb * strength, cr * strength
        return np.float32([y + 1.402 * cr, y - 0.344 * cb - 0.714 * cr, y + 1.772 * cb])

    return colour


def outline(rng, radius):
    """Corners of a leaf around (0, 0): ellipse, polygon, rectangle or blob."""
    kind = rng.random()
    turn = rng.uniform(0, 2 * np.pi)
    aspect = np.exp(rng.normal(0, 0.45))
    if kind < 0.35:
        a = np.linspace(0, 2 * np.pi, 12 if radius < 8 else 48, endpoint=False)
        points = np.stack([np.cos(a) * aspect, np.sin(a) / aspect], 1)
    elif kind < 0.55:
        points = np.float32([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.85 * [aspect, 1 / aspect]
        if rng.random() < 0.5:
            turn = rng.normal(0, 0.05)  # upright things are common
    elif kind < 0.8:
        a = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        points = np.stack([np.cos(a), np.sin(a)], 1) * rng.uniform(0.7, 1.3, (len(a), 1))
    else:
        a = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        r = np.ones_like(a)
        for k in range(2, 7):
            r += rng.normal(0, 0.5 / k) * np.cos(k * a + rng.uniform(0, 6.3))
        points = np.stack([np.cos(a), np.sin(a)], 1) * np.maximum(r, 0.2)[:, None]
    c, s = np.cos(turn), np.sin(turn)
    return (points @ np.float32([[c, s], [-s, c]]) * radius).astype(np.float32)


def fill(rng, height, width, y0, x0, colour, fields):
    """Colour with a gradient and, mostly, a texture that shifts brightness more than tint."""
    base = colour()
    out = np.empty((height, width, 3), np.float32)
    out[:] = base
    if rng.random() < 0.7:
        gy, gx = rng.normal(0, 0.12, 2)
        ramp = (
            np.linspace(-gy, gy, height, dtype=np.float32)[:, None]
            + np.linspace(-gx, gx, width, dtype=np.float32)[None, :]
        )
        out += ramp[..., None] * (0.5 + base)
    for _ in range(rng.choice(4, p=[0.22, 0.43, 0.25, 0.1])):
        texture = fields[rng.integers(len(fields))]
        oy, ox = rng.integers(0, CANVAS - height + 1), rng.integers(0, CANVAS - width + 1)
        part = texture[oy : oy + height, ox : ox + width]
        if rng.random() < 0.5:
            part = part[::-1, ::-1]
        contrast = np.exp(rng.normal(-3.1, 0.9))
        direction = (
            (colour() - base)
            if rng.random() < 0.35
            else np.float32([1, 1, 1]) + rng.normal(0, 0.12, 3)
        )
        direction = direction / (np.abs(direction).max() + 0.05)
        out += (contrast * part)[..., None] * direction.astype(np.float32)
    return out


def leaf(rng, canvas, radius, colour, fields):
    points = outline(rng, radius)
    points += rng.uniform(-0.5 * radius, CANVAS + 0.5 * radius, 2).astype(np.float32)
    if radius < 7:  # too small for anything but a colour
        cv2.fillPoly(canvas, [np.int32(points * 16)], [float(c) for c in colour()], shift=4)
        return
    soft = 0.0 if rng.random() < 0.6 else min(radius * 0.3, np.exp(rng.normal(0.7, 0.8)))
    margin = int(3 * soft) + 2
    x0, y0 = np.maximum(np.floor(points.min(0)).astype(int) - margin, 0)
    x1, y1 = np.minimum(np.ceil(points.max(0)).astype(int) + margin, CANVAS)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.float32)
    cv2.fillPoly(mask, [np.int32((points - [x0, y0]) * 16)], 1.0, shift=4)
    if soft:
        mask = cv2.GaussianBlur(mask, (0, 0), soft)
    region = canvas[y0:y1, x0:x1]
    if radius > 20 and rng.random() < 0.3:  # a soft shadow under it
        shift = np.float32(
            [[1, 0, rng.normal(0, 0.1 * radius)], [0, 1, rng.normal(0, 0.1 * radius)]]
        )
        shadow = cv2.GaussianBlur(
            cv2.warpAffine(mask, shift, mask.shape[::-1]), (0, 0), max(1.0, 0.05 * radius)
        )
        region *= 1 - rng.uniform(0.1, 0.6) * shadow[..., None]
    paint = fill(rng, y1 - y0, x1 - x0, y0, x0, colour, fields)
    region += mask[..., None] * (paint - region)


def strokes(rng, canvas, colour):
    """A bundle of bent lines: grass, hair, twigs, wires, fences, or a line of writing."""
    if rng.random() < 0.15:
        text = "".join(chr(c) for c in rng.integers(33, 127, rng.integers(4, 24)))
        mask = np.zeros((CANVAS, CANVAS), np.uint8)
        cv2.putText(
            mask,
            text,
            tuple(int(v) for v in rng.integers(0, CANVAS, 2)),
            int(rng.integers(0, 8)),
            rng.uniform(0.6, 3),
            255,
            int(rng.integers(1, 5)),
        )
        canvas[mask > 0] = colour()
        return
    count = int(np.exp(rng.uniform(np.log(2), np.log(120))))
    spread = np.exp(rng.uniform(np.log(10), np.log(300)))
    length = np.exp(rng.uniform(np.log(20), np.log(600)))
    angle, scatter = rng.uniform(0, 2 * np.pi), rng.choice([0.0, 0.05, 0.3])
    place = rng.uniform(0, CANVAS, 2)
    base, other = colour(), colour()
    width = int(np.exp(rng.uniform(0, np.log(9))))
    t = np.linspace(0, 1, 12)
    for _ in range(count):
        a = angle + rng.normal(0, scatter) + t * rng.normal(0, 0.5)
        step = np.stack([np.cos(a), np.sin(a)], 1) * length * rng.uniform(0.5, 1) / len(t)
        points = place + rng.normal(0, spread, 2) + np.cumsum(step, 0)
        tint = base + (other - base) * rng.random() * 0.6
        cv2.polylines(
            canvas,
            [np.int32(points * 16)],
            False,
            [float(c) for c in tint],
            max(1, width + int(rng.integers(-1, 2))),
            shift=4,
        )


def image(rng, fields):
    """One SIZE x SIZE RGB uint8 image."""
    colour = palette(rng)
    canvas = fill(rng, CANVAS, CANVAS, 0, 0, colour, fields)
    smallest = np.exp(rng.uniform(np.log(2.5), np.log(24)))
    octaves = np.log2(420 / smallest)
    # Each octave of radii covers the same area: density r^-3, the law of natural scenes.
    coverage = rng.uniform(0.2, 0.7)
    radii = []
    for k in range(int(np.ceil(octaves))):
        low = smallest * 2**k
        number = rng.poisson(coverage * CANVAS**2 / (np.pi * (1.44 * low) ** 2))
        radii.extend(low * 2 ** rng.random(min(number, 12000)))
    radii = rng.permutation(radii)
    bundles = rng.poisson(4) * (rng.random() < 0.6)
    when = set(rng.integers(0, len(radii), bundles).tolist())
    for i, radius in enumerate(radii):
        leaf(rng, canvas, radius, colour, fields)
        if i in when:
            strokes(rng, canvas, colour)
    if rng.random() < 0.5:  # uneven light
        light = cv2.resize(
            power_noise(rng, 128, rng.uniform(2.5, 4)),
            (CANVAS, CANVAS),
            interpolation=cv2.INTER_CUBIC,
        )
        canvas *= np.exp(light * rng.uniform(0.05, 0.35))[..., None]
    if rng.random() < 0.4:  # part of the scene out of focus
        where = cv2.resize(power_noise(rng, 64, 4), (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
        where = 1 / (1 + np.exp(-4 * (where + rng.normal(0, 0.5))))
        blurred = cv2.GaussianBlur(canvas, (0, 0), np.exp(rng.uniform(0.7, 2.5)))
        canvas += where[..., None] * (blurred - canvas)
    if rng.random() < 0.6:  # lens
        canvas = cv2.GaussianBlur(canvas, (0, 0), rng.uniform(0.5, 2.2))
    small = cv2.resize(canvas, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.35:  # sharpening, as cameras do
        small += rng.uniform(0.2, 1.0) * (
            small - cv2.GaussianBlur(small, (0, 0), rng.uniform(0.7, 1.5))
        )
    small = np.clip(small, 0, 1) ** np.exp(rng.normal(0, 0.25))
    return np.uint8(np.clip(small * 255 + 0.5, 0, 255))


def make_part(job):
    """A few images that share a bank of textures; the seed of a part fixes all of it."""
    part, count, path = job
    cv2.setNumThreads(1)
    if not os.path.exists(path):
        rng = np.random.default_rng([1, part])
        fields = [field(rng) for _ in range(12)]
        images = np.stack([image(rng, fields) for _ in range(count)])
        np.save(path + ".tmp.npy", images)
        os.replace(path + ".tmp.npy", path)
    return path


def pool(count, jobs=1, each=8):
    """(count, SIZE, SIZE, 3) uint8, made on first use and kept in build/training/textures."""
    folder = common.work_folder("textures")
    parts = [
        (i, each, os.path.join(folder, f"{i:04d}.npy")) for i in range((count + each - 1) // each)
    ]
    if jobs > 1:
        with multiprocessing.Pool(jobs) as workers:
            for done, path in enumerate(workers.imap(make_part, parts), 1):
                print(f"textures {done}/{len(parts)}", flush=True)
    return np.concatenate([np.load(make_part(part)) for part in parts])[:count]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    pool(options.count, options.jobs)

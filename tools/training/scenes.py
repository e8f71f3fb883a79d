"""What stands around the heads of heads.py: backgrounds, clips of a head that speaks, and pictures
with several heads and things that only look like one."""

import cv2
import numpy as np

import heads

# Neither thread counts nor the order of requests may change what a seed draws.
cv2.setNumThreads(1)


def noise(rng, height, width, power):
    """A field of 1/f^power noise with mean 0 and deviation 1."""
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    f = np.sqrt(fy * fy + fx * fx)
    f[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / f**power
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (height, width))
    return (field / (field.std() + 1e-9)).astype(np.float32)


class Background:
    """A room, a landscape or a texture, mostly out of focus; the same at every call of draw."""

    def __init__(self, rng):
        self.seed = int(rng.integers(1 << 62))

    def draw(self, height, width):
        rng = np.random.default_rng(self.seed)
        canvas = self.gradient(rng, height, width)
        for layer in rng.permutation([self.cloud, self.boxes, self.lamps, self.stripes])[:2]:
            layer(rng, canvas)
        soft = rng.uniform(0, 0.02) * height
        if soft > 0.4:
            canvas = cv2.GaussianBlur(canvas, (0, 0), soft)
        canvas += rng.uniform(0, 0.03) * rng.standard_normal(canvas.shape).astype(np.float32)
        return np.clip(canvas, 0, 1)

    @staticmethod
    def gradient(rng, height, width):
        corners = rng.uniform(0.05, 0.95) + rng.uniform(-0.25, 0.25, (2, 2, 3))
        corners = np.clip(corners, 0, 1).astype(np.float32)
        return cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)

    @staticmethod
    def cloud(rng, canvas):
        field = noise(rng, *canvas.shape[:2], rng.uniform(0.7, 1.8))
        canvas += field[..., None] * rng.uniform(-0.15, 0.15, 3).astype(np.float32)

    @staticmethod
    def boxes(rng, canvas):
        height, width = canvas.shape[:2]
        for _ in range(rng.integers(3, 25)):
            x, y = rng.integers(0, width), rng.integers(0, height)
            w, h = rng.integers(4, width // 2), rng.integers(4, height // 2)
            colour = np.clip(rng.uniform(0, 1) + rng.uniform(-0.2, 0.2, 3), 0, 1)
            cv2.rectangle(canvas, (int(x), int(y)), (int(x + w), int(y + h)), colour.tolist(), -1)

    @staticmethod
    def lamps(rng, canvas):
        height, width = canvas.shape[:2]
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        for _ in range(rng.integers(2, 12)):
            cx, cy = rng.uniform(0, width), rng.uniform(0, height)
            radius = rng.uniform(0.02, 0.2) * height
            cover = heads.ellipse(x, y, cx, cy, radius, radius, 0.25)
            colour = rng.uniform(0.2, 1.0, 3).astype(np.float32)
            canvas[:] = heads.mix(canvas, colour, float(rng.uniform(0.2, 0.8)) * cover)

    @staticmethod
    def stripes(rng, canvas):
        height, width = canvas.shape[:2]
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        angle, pitch = rng.uniform(0, np.pi), rng.uniform(4, 60)
        wave = np.sin((float(np.cos(angle)) * x + float(np.sin(angle)) * y) * float(6.28 / pitch))
        if rng.random() < 0.5:
            wave = np.sign(wave)
        canvas += wave[..., None] * rng.uniform(-0.2, 0.2, 3).astype(np.float32)


def drift(rng, frames, fps, amplitude, slowest=4.0):
    """A smooth random motion: three sines of different periods, in seconds."""
    t = np.arange(frames) / fps
    total = np.zeros(frames)
    for period in (slowest, slowest / 1.7, slowest / 3.1):
        phase = rng.uniform(0, 2 * np.pi)
        total += rng.uniform(0.2, 1.0) * np.sin(2 * np.pi * t / period + phase)
    return amplitude * total / 1.8


def blinks(rng, frames, fps):
    t = np.arange(frames) / fps
    closed = np.zeros(frames)
    when = rng.uniform(0, 4)
    while when < t[-1]:
        closed = np.maximum(closed, np.exp(-(((t - when) / 0.06) ** 2)))
        when += rng.uniform(1.5, 5)
    return closed


def clip(rng, mouths, size=(160, 160), fps=25, face=None):
    """One head that moves gently and opens its mouth as `mouths` (T,2: open, spread) says.

    Returns frames uint8 BGR (T,H,W,3) and the boxes of the face float32 (T,4). The motion depends
    on `rng` only: the same generator with other mouths gives the same head in the same poses.
    `face` is the height of the face's box in pixels; about 0.62 of the picture when not given.
    """
    height, width = size
    person, background = heads.Head(rng), Background(rng)
    face = (face or rng.uniform(0.55, 0.66) * height) * rng.uniform(0.97, 1.03)
    count = len(mouths)
    yaw = rng.uniform(-0.15, 0.15) + drift(rng, count, fps, 0.16)
    pitch = rng.uniform(-0.05, 0.05) + drift(rng, count, fps, 0.06)
    roll = drift(rng, count, fps, 0.05, 6.0)
    x = width * rng.uniform(0.48, 0.52) + drift(rng, count, fps, 0.018 * height)
    y = height * rng.uniform(0.47, 0.53) + drift(rng, count, fps, 0.012 * height)
    gaze = drift(rng, count, fps, 0.02)
    closed = blinks(rng, count, fps)
    grain = rng.uniform(0, 0.006)
    empty = background.draw(height, width)
    frames, boxes = np.empty((count, height, width, 3), np.uint8), np.empty((count, 4), np.float32)
    for i in range(count):
        canvas = empty.copy()
        boxes[i] = person.draw(canvas, x[i], y[i], face, yaw[i], pitch[i], roll[i], mouths[i],
                               closed[i], (float(gaze[i]), 0.0))
        canvas += grain * rng.standard_normal(canvas.shape).astype(np.float32)
        frames[i] = to_bytes(canvas)
    return frames, boxes


def to_bytes(canvas):
    return (np.clip(canvas[..., ::-1], 0, 1) * 255 + 0.5).astype(np.uint8)


def overlap(a, b):
    """Share of the smaller box that the other one covers."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    small = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return max(w, 0) * max(h, 0) / small


def decoy(rng, canvas):
    """Something that only looks like a head: a shaded ball, perhaps with two dots, a mask without a
    mouth, a plate."""
    height, width = canvas.shape[:2]
    ry = rng.uniform(0.04, 0.3) * height
    rx = ry * rng.uniform(0.6, 1.2)
    cx, cy = rng.uniform(0, width), rng.uniform(0, height)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x - float(cx)) / float(rx), (y - float(cy)) / float(ry)
    skin = heads.SKINS[rng.integers(len(heads.SKINS))].astype(np.float32)
    colour = skin if rng.random() < 0.6 else rng.uniform(0.1, 0.9, 3).astype(np.float32)
    colour = np.broadcast_to(colour, canvas.shape)
    kind = rng.integers(5)
    if kind == 1:  # a bowling ball
        for side in (-1, 1):
            hole = heads.ellipse(x, y, side * rng.uniform(0.15, 0.5), rng.uniform(-0.5, 0.5),
                                 0.1, 0.1)
            colour = heads.mix(colour, heads.rgb(0.05, 0.05, 0.05), hole)
    if kind == 2:  # striped
        stripes = np.sin(x * float(rng.uniform(5, 20)) + y * float(rng.uniform(5, 20)))
        colour = colour * (0.8 + 0.2 * stripes[..., None])
    if kind == 3:  # a bar, as a mouth alone
        colour = heads.mix(colour, heads.rgb(0.6, 0.2, 0.2),
                           heads.ellipse(x, y, 0, 0.5, 0.35, 0.1))
    if kind == 4:  # a head seen from behind
        colour = heads.HAIRS[rng.integers(len(heads.HAIRS))].astype(np.float32)
        colour = colour * (0.85 + 0.15 * np.sin(40 * x + 3 * y))[..., None]
    cover = 1 - heads.smooth(0.97, 1.0, np.sqrt(x * x + y * y))
    canvas[:] = heads.mix(canvas, heads.Light(rng).on(colour, heads.dome(x, y), 0.1), cover)
    return np.array([cx - rx, cy - ry, cx + rx, cy + ry])


def scene(rng, height, width, faces, smallest=20):
    """A picture with `faces` heads of varied size that hardly cover each other, and decoys.

    Returns uint8 BGR (H,W,3) and the faces' boxes float32 (n,4); n < faces when there is no room.
    Every box lies in the picture for the most part.
    """
    canvas = Background(rng).draw(height, width)
    for _ in range(rng.integers(0, 4)):
        decoy(rng, canvas)
    boxes, largest = [], 0.8 * min(height, width / 0.8)
    sizes = sorted(np.exp(rng.uniform(np.log(smallest), np.log(largest), faces)))
    for size in sizes:  # near ones cover far ones, never the reverse
        for _ in range(20):
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            room = np.array([x - 0.55 * size, y - 0.75 * size, x + 0.55 * size, y + 0.62 * size])
            inside = overlap(room, np.array([0, 0, width, height]))
            if inside > 0.93 and all(overlap(room, other) < 0.1 for other in boxes):
                break
        else:
            continue
        mouth = (rng.uniform(0, 1) ** 2, rng.uniform(-1, 1))
        turn = rng.uniform(-0.55, 0.55), rng.uniform(-0.25, 0.25), rng.normal(0, 0.12)
        before = canvas.copy()
        box = heads.Head(rng).draw(canvas, x, y, size, *turn, mouth,
                                   0.9 * (rng.random() < 0.1), tuple(rng.uniform(-0.03, 0.03, 2)))
        # Shoulders of a near head may hide a far face: then the near one stays away.
        if any(np.abs(part(canvas, other) - part(before, other)).mean() > 0.01 for other in boxes):
            canvas = before
            continue
        boxes.append(box)
    return to_bytes(canvas), np.array(boxes, np.float32).reshape(-1, 4)


def part(canvas, box):
    x1, y1, x2, y2 = np.clip(box, 0, 1 << 20).astype(int)
    return canvas[y1:y2 + 1, x1:x2 + 1]

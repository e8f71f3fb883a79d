"""Makes the demo clip and the demo voice: data/demo/face.mp4 and data/demo/voice.wav.

Every pixel is computed here (a shaded head, drawn on the surface of an ellipsoid that turns), so
the clip belongs to this project and nobody's likeness is in it. The voice is what espeak-ng says;
its output is free to use. Needs Python with numpy, ffmpeg and espeak-ng:

    python3 data/demo/make_demo.py
"""

import os
import subprocess

import numpy as np

FOLDER = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT, FPS, FRAMES = 320, 240, 25, 100
OVERSAMPLING = 3
TEXT = "Hello! I am a drawing that learned to speak. My lips should follow this voice."

HEAD_X, HEAD_Y = 160.0, 122.0  # centre in pixels
HEAD_RX, HEAD_RY = 60.0, 78.0

SKIN = np.array([0.87, 0.64, 0.51])
HAIR = np.array([0.20, 0.11, 0.08])
LIPS = np.array([0.74, 0.31, 0.31])
SHIRT = np.array([0.16, 0.36, 0.50])
LIGHT = np.array([-0.45, -0.55, 0.70]) / np.linalg.norm([-0.45, -0.55, 0.70])
WARM, COOL = np.array([1.0, 0.97, 0.92]), np.array([0.45, 0.55, 0.75])


def smooth(low, high, x):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(below, colour, cover):
    return below + (colour - below) * cover[..., None]


def ellipse(x, y, cx, cy, rx, ry, soft=0.1):
    return 1 - smooth(1 - soft, 1 + soft, np.hypot((x - cx) / rx, (y - cy) / ry))


def lit(colour, normal, shine=0.0, ambient=0.42):
    """Diffuse light from the upper left, a cool rim from the right, and a highlight."""
    diffuse = np.clip(normal @ LIGHT, 0, 1)[..., None]
    rim = (np.clip(1 - normal[..., 2], 0, 1) ** 3 * np.clip(normal[..., 0], 0, 1))[..., None]
    half = LIGHT + np.array([0, 0, 1])
    spot = np.clip(normal @ (half / np.linalg.norm(half)), 0, 1)[..., None] ** 40
    return colour * (ambient + 0.72 * diffuse * WARM) + 0.35 * rim * COOL + shine * spot


def background(x, y):
    base = np.array([0.20, 0.24, 0.33]) + (y / HEIGHT)[..., None] * np.array([0.16, 0.10, 0.05])
    lamps = [(42, 60, 26, [0.9, 0.7, 0.4]), (285, 48, 20, [0.5, 0.7, 0.9]),
             (262, 130, 32, [0.8, 0.5, 0.5]), (30, 160, 18, [0.5, 0.8, 0.7])]
    for cx, cy, radius, colour in lamps:
        base = mix(base, np.array(colour), 0.28 * ellipse(x, y, cx, cy, radius, radius, 0.25))
    return base


def body(image, x, y, sway):
    """Neck and shoulders."""
    neck = ellipse(x, y, HEAD_X + 0.6 * sway, 200, 27, 46, 0.05) * smooth(150, 172, y)
    side = np.clip((x - HEAD_X - 0.6 * sway) / 28, -1, 1)
    normal = np.stack([side, 0 * side, np.sqrt(1 - side**2)], -1)
    image = mix(image, lit(SKIN * 0.82, normal) * (0.62 + 0.38 * smooth(190, 225, y))[..., None],
                neck)
    dx, dy = (x - HEAD_X - 0.3 * sway) / 108, (y - 262) / 50
    inside = 1 - smooth(0.985, 1.015, np.hypot(dx, dy))
    normal = np.stack([dx, dy, np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1))], -1)
    collar = ellipse(x, y, HEAD_X + 0.5 * sway, 212, 31, 13, 0.06)
    return mix(image, lit(SHIRT, normal), inside * (1 - collar * (y < 216)))


def eye(colour, p, side, blink, gaze):
    """One eye on the head's surface. `p` are points on the unit sphere, turned with the head."""
    cx, cy = side * 0.37, -0.10
    x, y = p[..., 0] - cx, p[..., 1] - cy
    opening = 0.074 * (1 - blink) + 0.004
    socket = ellipse(x, y, 0, -0.01, 0.215, 0.15, 0.5)
    colour = mix(colour, SKIN * 0.70, 0.40 * socket)
    white = ellipse(x, y, 0, 0, 0.155, opening, 0.08)
    colour = mix(colour, np.array([0.96, 0.95, 0.93]), white)
    iris = ellipse(x, y, gaze, 0, 0.076, 0.066, 0.1) * white
    colour = mix(colour, np.array([0.24, 0.42, 0.40]), iris)
    colour = mix(colour, np.array([0.05, 0.05, 0.07]), ellipse(x, y, gaze, 0, 0.036, 0.032) * white)
    glint = ellipse(x, y, gaze - 0.026, -0.026, 0.019, 0.017, 0.3) * white
    colour = mix(colour, np.ones(3), glint)
    lid = ellipse(x, y, 0, -0.006, 0.172, opening + 0.022, 0.1) * (1 - white) * (y < 0.012)
    colour = mix(colour, HAIR * 0.7, lid)
    arch = y + 0.205 - 0.5 * (x - 0.03 * side) ** 2 * 2
    brow = (1 - smooth(0.016, 0.034, np.abs(arch))) * (1 - smooth(0.17, 0.21, np.abs(x)))
    return mix(colour, HAIR, 0.9 * brow)


def mouth(colour, p, opening):
    """Lips around a mouth that is nearly closed: the network is to move it."""
    x, y = p[..., 0], p[..., 1] - 0.54
    curve = y + 0.9 * x**2 * 0.35  # corners a little up
    width = 0.30
    taper = np.sqrt(np.clip(1 - (x / width) ** 2, 0, 1))
    lower = ellipse(x, curve, 0, 0.030 + opening, width * 0.86, 0.062 + 0.02 * taper, 0.14)
    bow = 0.048 - 0.016 * np.exp(-((x / 0.045) ** 2))
    upper = ellipse(x, curve, 0, -0.012, width, bow + 0.012, 0.14) * (curve < 0.012)
    colour = mix(colour, LIPS * 1.06, lower * (curve > 0))
    colour = mix(colour, LIPS * 0.86, upper)
    inner = ellipse(x, curve, 0, 0.006 + opening * 0.5, width * 0.80, 0.008 + opening, 0.25)
    colour = mix(colour, np.array([0.27, 0.07, 0.08]), inner)
    teeth = ellipse(x, curve, 0, 0.0, width * 0.55, 0.004 + opening * 0.7, 0.2) * inner
    return mix(colour, np.array([0.93, 0.91, 0.88]), teeth * smooth(0.01, 0.04, opening))


def head(image, x, y, pose):
    cx, cy, yaw, pitch, roll = pose["x"], pose["y"], pose["yaw"], pose["pitch"], pose["roll"]
    u, v = x - cx, y - cy
    u, v = u * np.cos(roll) + v * np.sin(roll), v * np.cos(roll) - u * np.sin(roll)

    for side in (-1, 1):  # ears, behind the head
        ex = side * (HEAD_RX - 1) * np.cos(yaw) - 22 * np.sin(yaw)
        dx, dy = (u - ex) / 11, (v - 2) / 18
        ear = 1 - smooth(0.95, 1.05, np.hypot(dx, dy))
        normal = np.stack([dx, dy, np.sqrt(np.clip(1 - dx**2 - dy**2, 0, 1))], -1)
        image = mix(image, lit(SKIN * 0.9, normal), ear)

    # The chin is narrower than the skull.
    narrow = 1 - 0.17 * smooth(-0.1, 1.0, v / HEAD_RY) ** 1.4
    nx, ny = u / (HEAD_RX * narrow), v / HEAD_RY
    r = np.hypot(nx, ny)
    inside = 1 - smooth(0.985, 1.01, r)
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0, 1))
    # The point of the head that shows at each pixel: turn the view back by yaw, then pitch.
    px = nx * np.cos(yaw) - nz * np.sin(yaw)
    pz = nx * np.sin(yaw) + nz * np.cos(yaw)
    py = ny * np.cos(pitch) - pz * np.sin(pitch)
    pz = ny * np.sin(pitch) + pz * np.cos(pitch)
    p = np.stack([px, py, pz], -1)

    # The nose is a bump: its slope bends the normal, its height shifts what lies on it.
    bump = np.exp(-((px / 0.085) ** 2) - ((py - 0.10) / 0.19) ** 2)
    bump += 0.9 * np.exp(-((px / 0.115) ** 2) - ((py - 0.215) / 0.085) ** 2)
    wings = np.exp(-(((np.abs(px) - 0.105) / 0.05) ** 2) - ((py - 0.235) / 0.05) ** 2)
    height = 0.75 * bump + 0.35 * wings
    gy, gx = np.gradient(height)
    unit = OVERSAMPLING * HEAD_RX * 0.115
    normal = np.stack([nx - gx * unit, ny - gy * unit, nz + 0.05], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)

    colour = np.broadcast_to(SKIN, p.shape).copy()
    for side in (-1, 1):
        cheek = ellipse(px, py, side * 0.47, 0.27, 0.24, 0.19, 0.9)
        colour = mix(colour, np.array([0.86, 0.45, 0.40]), 0.33 * cheek)
        nostril = ellipse(px, py, side * 0.062, 0.292, 0.030, 0.017, 0.5)
        colour = mix(colour, SKIN * 0.35, 0.8 * nostril)
        colour = eye(colour, p, side, pose["blink"], pose["gaze"])
    colour = mix(colour, SKIN * 0.72, 0.5 * ellipse(px, py, 0, 0.365, 0.04, 0.05, 0.8))
    colour = mix(colour, SKIN * 0.70, 0.40 * ellipse(px, py, 0, 0.70, 0.19, 0.035, 0.9))
    colour = mouth(colour, p, pose["mouth"])
    front = np.where(pz > 0, 1.0, 0.0)[..., None]
    colour = SKIN * (1 - front) + colour * front
    face = lit(colour, normal, shine=0.10)

    image = mix(image, face, inside)

    # Hair: a cap a little larger than the skull, cut off along the forehead and the temples.
    hx, hy = u / (HEAD_RX + 7), (v + 5) / (HEAD_RY + 6)
    cap = 1 - smooth(0.98, 1.01, np.hypot(hx, hy))
    temples = np.clip(np.abs(px) - 0.55, 0, 1) ** 1.2
    line = -0.50 + 0.16 * np.sin(3.0 * px + 0.9) + 3.0 * temples
    hair = cap * (1 - smooth(-0.015, 0.015, py - line)) * (1 - smooth(0.02, 0.10, v / HEAD_RY))
    strands = 0.82 + 0.18 * np.sin(60 * np.arctan2(px + 0.35, -py + 0.25) + 6 * py)
    hz = np.sqrt(np.clip(1 - hx**2 - hy**2, 0, 1))
    normal = np.stack([hx, hy, hz], -1)
    return mix(image, lit(HAIR * strands[..., None], normal, shine=0.22, ambient=0.5), hair)


def pose_at(t):
    """Gentle motion that stays inside one box; returns to its start, so that the clip loops."""
    turn = 2 * np.pi * t / (FRAMES / FPS)
    blink = max(np.exp(-(((t - when) / 0.055) ** 2)) for when in (0.9, 2.55, 2.85))
    return {
        "x": HEAD_X + 3.0 * np.sin(turn), "y": HEAD_Y + 1.6 * np.sin(2 * turn + 0.5),
        "yaw": 0.20 * np.sin(turn + 0.3), "pitch": 0.06 * np.sin(2 * turn),
        "roll": 0.035 * np.sin(turn - 0.4), "blink": blink, "gaze": -0.016 * np.sin(turn + 0.3),
        "mouth": 0.004 + 0.006 * np.sin(turn) ** 2,
    }


def draw(index):
    size = OVERSAMPLING
    across, down = np.arange(WIDTH * size), np.arange(HEIGHT * size)
    x, y = np.meshgrid((across + 0.5) / size, (down + 0.5) / size)
    pose = pose_at(index / FPS)
    image = head(body(background(x, y), x, y, pose["x"] - HEAD_X), x, y, pose)
    image = image.reshape(HEIGHT, size, WIDTH, size, 3).mean((1, 3))
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def main():
    video = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24",
             "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-", "-an", "-c:v", "libx264",
             "-preset", "veryslow", "-crf", "20", "-pix_fmt", "yuv420p", "-colorspace", "bt709",
             "-color_primaries", "bt709", "-color_trc", "bt709", "-vf",
             "scale=out_color_matrix=bt709", "-movflags", "+faststart", "-map_metadata", "-1",
             "-fflags", "+bitexact", "-flags:v", "+bitexact", os.path.join(FOLDER, "face.mp4")]
    with subprocess.Popen(video, stdin=subprocess.PIPE) as encoder:
        for index in range(FRAMES):
            encoder.stdin.write(draw(index).tobytes())
        encoder.stdin.close()
        if encoder.wait() != 0:
            raise SystemExit("ffmpeg failed")
    speech = subprocess.run(["espeak-ng", "-v", "en-us", "-s", "168", "-p", "45", "--stdout", TEXT],
                            check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", "-", "-af", "volume=0.9", "-ar", "16000",
                    "-ac", "1", "-c:a", "pcm_s16le", "-map_metadata", "-1", "-fflags", "+bitexact",
                    os.path.join(FOLDER, "voice.wav")], input=speech, check=True)


if __name__ == "__main__":
    main()

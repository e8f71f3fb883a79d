"""Makes small clips and voices, and reads results back, without loss where it matters."""

import json
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

from .s3fd import FACE_BGR


def ffmpeg(*arguments):
    """What ffmpeg writes to its standard output; skips the test where this one cannot."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)],
                          capture_output=True)
    if done.returncode:
        pytest.skip(f"this ffmpeg cannot: {done.stderr.decode()[:200]}")
    return done.stdout


def picture(index: int, width=160, height=120, face=None) -> np.ndarray:
    """A moving grey gradient with its number in the top left corner and, at face = (x, y), a
    face-like bump scaled with the frame; at 120 pixels of height the red-blob detector fires."""
    yy, xx = np.mgrid[0:height, 0:width]
    waves = 12 * np.sin((xx + 3 * index) / 9.0)
    grey = (40 + 60 * xx / width + 50 * yy / height + waves)[..., None]
    image = np.repeat(grey, 3, axis=2)
    if face is not None:
        scale = height / 120
        dx, dy = (xx - face[0]) / scale, (yy - face[1]) / scale
        mix = np.clip(1.5 * np.exp(-1.2 * ((dx / 26) ** 2 + (dy / 32) ** 2)), 0, 1)[..., None]
        image = image * (1 - mix) + np.array(FACE_BGR) * mix
        for ex, ey, rx, ry in ((-9, -10, 4, 3), (9, -10, 4, 3), (0, 14, 9, 3)):
            eye = ((dx - ex) / rx) ** 2 + ((dy - ey) / ry) ** 2 < 1
            image[eye] = (20, 20, 120)
    image = image.round().clip(0, 255).astype(np.uint8)
    return stamp(image, index)


STAMP_BITS, STAMP_CELL = 10, 4


def stamp(image: np.ndarray, index: int) -> np.ndarray:
    """Writes `index` as black and white cells along the top edge."""
    for bit in range(STAMP_BITS):
        value = 255 if index >> bit & 1 else 0
        image[0:STAMP_CELL, bit * STAMP_CELL : (bit + 1) * STAMP_CELL] = value
    return image


def read_stamp(image: np.ndarray) -> int:
    """The index that `stamp` wrote; survives lossy coding."""
    index = 0
    for bit in range(STAMP_BITS):
        cell = image[0:STAMP_CELL, bit * STAMP_CELL : (bit + 1) * STAMP_CELL]
        index |= int(cell.mean() > 127) << bit
    return index


def moving_face(index: int, width=160, height=120):
    """A path on which the face stays inside and crosses cells of the detector."""
    return (
        width / 2 + 0.17 * width * np.sin(index / 6.0 + 0.3),
        height / 2 + 0.08 * height * np.cos(index / 5.0),
    )


def write_video(path, frames, fps, codec=("-c:v", "ffv1", "-pix_fmt", "bgr0"), extra=()):
    """Frames (BGR uint8) to a file, lossless by default. `fps` as text or number."""
    height, width = frames[0].shape[:2]
    source = f"-f rawvideo -pix_fmt bgr24 -s {width}x{height} -r {fps} -i -".split()
    command = ["ffmpeg", "-v", "error", "-y", *source, *codec, *extra, str(path)]
    data = b"".join(np.ascontiguousarray(f).tobytes() for f in frames)
    subprocess.run(command, input=data, check=True)
    return Path(path)


def probe(path) -> dict:
    command = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def stream(path, kind: str):
    """ffprobe's description of the first "video" or "audio" stream, or None."""
    return next((s for s in probe(path)["streams"] if s["codec_type"] == kind), None)


def frame_rate(path) -> float:
    return float(Fraction(stream(path, "video")["avg_frame_rate"]))


def read_video(path) -> list:
    """Every frame as stored, BGR uint8, neither dropped nor doubled nor turned."""
    video = stream(path, "video")
    width, height = video["width"], video["height"]
    command = ["ffmpeg", "-v", "error", "-noautorotate", "-i", str(path), "-map", "0:v:0"]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return list(np.frombuffer(data, np.uint8).reshape(-1, height, width, 3))


def frame_times(path) -> list:
    """Presentation times of the video's frames in seconds."""
    command = "ffprobe -v error -select_streams v:0 -show_entries frame=pts_time -of csv=p=0"
    command = [*command.split(), str(path)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(line.split(",")[0]) for line in text.split() if line.strip(",")]


def voice(seconds: float, rate=16000, channels=1, seed=3) -> np.ndarray:
    """Something with the outline of speech: a gliding tone with overtones, bursts and noise."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    t = np.arange(count) / rate
    pitch = 2 * np.pi * np.cumsum(140 + 50 * np.sin(2 * np.pi * 1.3 * t)) / rate
    tone = sum(np.sin(k * pitch) / k for k in range(1, 12))
    loudness = 0.15 + 0.85 * np.clip(np.sin(2 * np.pi * 3.1 * t) + 0.3, 0, 1)
    x = 0.2 * loudness * tone + 0.02 * rng.standard_normal(count)
    tracks = [x * (1 - 0.3 * c) + 0.01 * rng.standard_normal(count) for c in range(channels)]
    return np.clip(np.stack(tracks, axis=1), -0.99, 0.99)


def write_voice(path, seconds: float, rate=16000, channels=1, seed=3):
    soundfile.write(path, voice(seconds, rate, channels, seed), rate, subtype="PCM_16")
    return Path(path)

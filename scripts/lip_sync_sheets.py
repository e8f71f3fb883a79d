"""Makes the pictures of docs/lip-sync.md: masks and silence side by side, on the drawn demo head.

    python3 scripts/lip_sync_sheets.py [RUN_MODEL]

Needs numpy, opencv and ffmpeg, and writes docs/pictures/lip-sync-masks.jpg and -silence.jpg.
"""

import json
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "release" / "run-model"
FACE = ROOT / "data" / "demo" / "face.mp4"
VOICE = ROOT / "data" / "demo" / "voice.wav"
WEIGHTS = ROOT / "data" / "weights" / "wav2lip.safetensors"
WIDTH, HEIGHT, FPS, RATE = 320, 240, 25, 16000
COLOUR = (0.1, 0.8, 0.2)  # B, G, R of the network that always gives it
OPEN_FRAME = 46  # of the demo's voice: a mouth that is wide open
SPEECH, PAUSE = 1.6, 2.0  # seconds: the voice pauses, and goes on
TOP, GAP = 24, 6


def read_video(path):
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)


def run(folder, voice, *arguments, weights=WEIGHTS):
    out = folder / "out.mkv"
    command = [PROGRAM, "wav2lip", "--face", FACE, "--audio", voice, "--checkpoint_path", weights]
    command += ["--faces", folder / "faces.json", "--codec", "ffv1", "--outfile", out, "--quiet"]
    subprocess.run([str(a) for a in [*command, *arguments]], check=True)
    return read_video(out)


def write_plain_network(path):
    """The shipped network with a last layer that gives one colour, whatever it is shown."""
    data = bytearray(WEIGHTS.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    table = json.loads(data[8:start])
    kinds = {"F32": np.float32, "F16": np.float16}
    bias = np.log(np.array(COLOUR) / (1 - np.array(COLOUR)))
    for name, values in (("output_block.1.weight", 0), ("output_block.1.bias", bias)):
        first, last = table[name]["data_offsets"]
        kind = kinds[table[name]["dtype"]]
        array = np.frombuffer(data, kind, (last - first) // np.dtype(kind).itemsize, start + first)
        data[start + first : start + last] = (np.zeros_like(array) + values).astype(kind).tobytes()
    path.write_bytes(data)
    return path


def write_pausing_voice(path):
    """The demo's voice with a pause, in which somebody else is heard from afar."""
    with wave.open(str(VOICE)) as file:
        voice = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    at = int(SPEECH * RATE)
    pause = np.zeros(int(PAUSE * RATE))
    pause[3000 : 3000 + at] = 0.015 * voice[:at][::-1]
    whole = np.concatenate([voice[:at], pause, voice[at : at + RATE]])
    whole += np.random.default_rng(1).normal(0, 0.001, len(whole))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((np.clip(whole, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def write(picture, text, x, y):
    cv2.putText(picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (30, 30, 30), 1, cv2.LINE_AA)


def sheet(rows, columns, tiles, left):
    """Tiles of one size in a table with names."""
    height, width = tiles[0][0].shape[:2]
    picture = np.full((TOP + len(rows) * (height + GAP), left + len(columns) * (width + GAP), 3),
                      255, np.uint8)
    for k, name in enumerate(columns):
        write(picture, name, left + k * (width + GAP) + 2, TOP - 8)
    for i, name in enumerate(rows):
        y = TOP + i * (height + GAP)
        write(picture, name, 4, y + height // 2)
        for k, tile in enumerate(tiles[i]):
            x = left + k * (width + GAP)
            picture[y : y + height, x : x + width] = tile
    return picture


def cut(frame, box, scale):
    x1, y1, x2, y2 = box
    size = (scale * (x2 - x1), scale * (y2 - y1))
    return cv2.resize(frame[y1:y2, x1:x2], size, interpolation=cv2.INTER_CUBIC)


def save(name, picture):
    path = ROOT / "docs" / "pictures" / name
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{path}: {picture.shape[1]}x{picture.shape[0]}, {path.stat().st_size} bytes")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = write_plain_network(folder / "plain.safetensors")
        masks = ["mouth", "lower", "box"]
        spoken = [run(folder, VOICE, "--mask", m)[OPEN_FRAME] for m in masks]
        shapes = [run(folder, VOICE, "--mask", m, "--no_colour_match", weights=plain)[OPEN_FRAME]
                  for m in masks]
        film = read_video(FACE)
        box = json.loads((folder / "faces.json").read_text())["faces"][OPEN_FRAME]["box"]
        x1, y1, x2, y2 = box
        around = (x1 - 16, y1 - 12, x2 + 16, y2 + 20)
        table = [[cut(f, around, 2) for f in [film[OPEN_FRAME], *frames]]
                 for frames in (spoken, shapes)]
        save("lip-sync-masks.jpg", sheet(["voice", "shape"], ["film", *masks], table, 54))

        voice = write_pausing_voice(folder / "pausing.wav")
        ways = ["net", "keep", "close"]
        made = [run(folder, voice, "--silence", way) for way in ways]
        shown = [37, 46, 52, 58, 70, 96]
        count = len(film)  # the clip goes back and forth
        turn = [i % (2 * count - 2) for i in shown]
        own = [film[i if i < count else 2 * count - 2 - i] for i in turn]
        lips = (x1 + 10, y1 + (y2 - y1) // 2, x2 - 10, y2 + 4)
        table = [[cut(f, lips, 2) for f in frames]
                 for frames in (own, *[[m[i] for i in shown] for m in made])]
        times = [f"{i / FPS:.2f} s, {'pause' if 40 < i < 90 else 'voice'}" for i in shown]
        save("lip-sync-silence.jpg", sheet(["film", *ways], times, table, 54))


if __name__ == "__main__":
    main()

"""Lip-sync of a clip of 1920x1080, two builds in turn and upstream's steps in Python.

    python bench/lipsync_chain.py BEFORE AFTER [--clip CLIP] [--box T B L R] [--seconds S]

Milliseconds a frame of each stage, by the least of all rounds; `apart` is their sum without network
and detector, and its ratio is that of the two builds. Upstream's steps are those of its script:
frames and an AVI by OpenCV, the network by PyTorch, then ffmpeg with its options; importing
and loading weights left out. Weights are random, of full width.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests")]

from reference import checkpoints, clips, pipeline  # noqa: E402
from reference.wav2lip import random_wav2lip  # noqa: E402

BATCH = 16  # of upstream's network; its default of 128 takes gigabytes and no less time


def clip_of(options, folder):
    """The first seconds in 1920x1080, H.264 as cameras and editors give it."""
    path = folder / "clip.mp4"
    shape = "scale=1920:1080:force_original_aspect_ratio=increase,crop=1920:1080"
    subprocess.run(["ffmpeg", "-v", "error", "-i", options.clip, "-t", str(options.seconds),
                    "-an", "-vf", shape, "-c:v", "libx264", "-pix_fmt", "yuv420p", path],
                   check=True)  # fmt: skip
    return path


def ours(program, jobs):
    told = subprocess.run([program, "wav2lip", *jobs, "--json", "--quiet"], check=True,
                          capture_output=True, text=True)  # fmt: skip
    told = json.loads(told.stdout)
    stages = {name: ms / told["frames"] for name, ms in told["stage_ms"].items()}
    apart = sum(ms for name, ms in stages.items() if name not in ("network", "detect"))
    return {**stages, "apart": apart, "whole": 1e3 * told["seconds"] / told["frames"]}


def upstream(model, face, voice, box, folder):
    """Milliseconds a frame: all, and without the network."""
    begin, inside = time.perf_counter(), 0.0
    video = cv2.VideoCapture(str(face))
    fps, frames = video.get(cv2.CAP_PROP_FPS), []
    while (read := video.read())[0]:
        frames.append(read[1])

    def timed(*inputs):
        nonlocal inside
        start = time.perf_counter()
        made = model(*inputs)
        inside += time.perf_counter() - start
        return made

    wanted = pipeline.Options(box=box, batch_size=BATCH)
    made = pipeline.run(timed, frames, voice, wanted, fps).frames
    height, width = made[0].shape[:2]
    kind = cv2.VideoWriter_fourcc(*"DIVX")
    result = cv2.VideoWriter(str(folder / "result.avi"), kind, fps, (width, height))
    for frame in made:
        result.write(frame)
    result.release()
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", voice, "-i", folder / "result.avi",
                    "-strict", "-2", "-q:v", "1", folder / "result.mp4"], check=True)  # fmt: skip
    whole = time.perf_counter() - begin
    return 1e3 * whole / len(made), 1e3 * (whole - inside) / len(made)


def measure(options, folder):
    model = random_wav2lip().eval()
    face, voice = clip_of(options, folder), folder / "voice.wav"
    clips.write_voice(voice, options.seconds)
    weights = folder / "weights.safetensors"
    checkpoints.save_safetensors(checkpoints.state_of(model), weights)
    jobs = ["--face", face, "--audio", voice, "--box", *options.box, "--threads", options.threads,
            "--checkpoint_path", weights, "--outfile", folder / "out.mp4"]  # fmt: skip
    jobs = [str(job) for job in jobs]
    rounds = [[ours(one, jobs) for one in options.programs] for _ in range(options.rounds)]
    least = [{name: min(r[i][name] for r in rounds) for name in rounds[0][i]}
             for i in range(len(options.programs))]  # fmt: skip
    theirs = np.min([upstream(model, face, voice, tuple(options.box), folder)
                     for _ in range(options.rounds)], axis=0)  # fmt: skip
    names = list(least[0])
    print("| ms a frame |", " | ".join(names), "| frames/s |")
    print("|---" * (len(names) + 2) + "|")
    for program, row in zip(options.programs, least):
        cells = " | ".join(f"{row[name]:.2f}" for name in names)
        print(f"| {Path(program).resolve().parents[2].name} | {cells} | {1e3 / row['whole']:.1f} |")
    blank = " | " * (len(names) - 2)
    whole, apart = theirs
    print(f"| upstream's steps | {blank}{apart:.2f} | {whole:.2f} | {1e3 / whole:.1f} |")
    if len(least) == 2:
        print(f"\napart: {least[0]['apart'] / least[1]['apart']:.2f} times less than before")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("programs", nargs="+", metavar="PROGRAM")
    p.add_argument("--clip", default=str(ROOT / "data/demo/face.mp4"))
    p.add_argument("--box", nargs=4, type=int, default=(300, 780, 700, 1100))
    p.add_argument("--seconds", type=float, default=4)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    options = p.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as made:
        measure(options, Path(made))


if __name__ == "__main__":
    main()

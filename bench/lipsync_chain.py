"""Lip-sync of a clip of 1920x1080, two builds in turn and upstream's steps in Python.

    python bench/lipsync_chain.py BEFORE AFTER [--clip CLIP] [--box T B L R] [--seconds S]

Milliseconds a frame. Stages and `whole` are of a network with random weights of full width. Stages
lie over each other, so that their sum is no time: `apart` is the time of a whole run with a network
of a sixteenth of the width, less that network's stage, and the ratio of two builds is the median of
that of the rounds. `cpu` is what such a run computes on all cores, its network with it. Upstream's
steps are those of its script: frames and an AVI by OpenCV, the network by PyTorch, then ffmpeg with
its options; importing and loading weights left out.
"""

import argparse
import json
import resource
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


def run(program, jobs):
    """What it tells of itself, by frame, and the seconds of all cores."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run([program, "wav2lip", *jobs, "--json", "--quiet"], check=True,
                          capture_output=True, text=True)  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(told.stdout)
    frames = told["frames"]
    stages = {name: ms / frames for name, ms in told["stage_ms"].items()}
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return stages, 1e3 * told["seconds"] / frames, 1e3 * cpu / frames


def ours(program, jobs, wide, narrow):
    stages, whole, _ = run(program, [*jobs, "--checkpoint_path", wide])
    lean, apart, cpu = run(program, [*jobs, "--checkpoint_path", narrow])
    return {**stages, "cpu": cpu, "apart": apart - lean["network"], "whole": whole}


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
    weights = [folder / "wide.safetensors", folder / "narrow.safetensors"]
    for one, path in zip((model, random_wav2lip(1 / 16)), weights):
        checkpoints.save_safetensors(checkpoints.state_of(one.eval()), path)
    jobs = ["--face", face, "--audio", voice, "--box", *options.box, "--threads", options.threads,
            "--outfile", folder / "out.mp4"]  # fmt: skip
    jobs = [str(job) for job in jobs]
    rounds = [[ours(one, jobs, *weights) for one in options.programs]
              for _ in range(options.rounds)]  # fmt: skip
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
        print()
        for name in ("apart", "cpu"):
            ratios = [before[name] / after[name] for before, after in rounds]
            print(f"{name}: {np.median(ratios):.2f} times less than before")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("programs", nargs="+", metavar="PROGRAM")
    p.add_argument("--clip", default=str(ROOT / "data/demo/face.mp4"))
    p.add_argument("--box", nargs=4, type=int, default=(300, 780, 700, 1100))
    p.add_argument("--seconds", type=float, default=8)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    options = p.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as made:
        measure(options, Path(made))


if __name__ == "__main__":
    main()

"""The Wav2Lip generators for 96 to 512 pixels: a frame beside ONNX Runtime and PyTorch, in turns.

    python bench/wav2lip_kinds.py [--kinds 96,256,...] [--rounds 3] [--threads 2]
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

KINDS = "96,nota96,256,288,288-prelu,sam8,sam9,leaky384,leaky512"


def model_of(name):
    import torch

    from reference import wav2lip, wav2lip_kinds

    torch.manual_seed(1)
    if name == "96":
        return wav2lip.Wav2Lip().eval(), 96
    kind = wav2lip_kinds.KINDS[name]
    return wav2lip_kinds.Generator(kind).eval(), kind.side


def timed(run, rounds):
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return min(times)


def peer(what, folder, name, threads, rounds):
    """In a process of its own, for the peak of memory is that of a process."""
    import numpy as np
    import torch

    if what == "torch":
        torch.set_num_threads(threads)
        model, side = model_of(name)
        audio, face = torch.zeros(1, 1, 80, 16), torch.rand(1, 6, side, side)
        with torch.inference_mode():
            least = timed(lambda: model(audio, face), rounds)
    else:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(folder / "w.onnx"), options)
        inputs = {
            port.name: np.random.default_rng(1).random(port.shape, np.float32)
            for port in session.get_inputs()
        }
        least = timed(lambda: session.run(None, inputs), rounds)
    print(json.dumps([least, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def ours(folder, threads, rounds):
    command = [ROOT / "build/release/run-model", "bench", "wav2lip", "--weights", folder / "w.pth"]
    command += ["--threads", threads, "--runs", rounds, "--seconds", 0, "--json"]
    done = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True)
    row = json.loads(done.stdout.splitlines()[0])
    return row["min_ms"], row["peak_rss_bytes"] / 2**20


def write(folder, name):
    import torch

    from reference import checkpoints, exports

    model, side = model_of(name)
    checkpoints.save_zip(checkpoints.state_of(model), folder / "w.pth")
    inputs = torch.zeros(1, 1, 80, 16), torch.rand(1, 6, side, side)
    made = exports.Example(model, inputs, inputs, ["audio", "face"], ["frames"])
    torch.onnx.export(made.model, inputs, str(folder / "w.onnx"), opset_version=17, dynamo=False,
                      input_names=made.input_names, output_names=made.output_names)  # fmt: skip


def compare(name, s):
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        again = [sys.executable, __file__, "--threads", str(s.threads), "--rounds", str(s.runs)]
        again += ["--folder", made, "--kinds", name]
        subprocess.run([*again, "--part", "write"], check=True, capture_output=True)
        best = {}
        for _ in range(s.rounds):
            rows = {"run-model": ours(folder, s.threads, s.runs)}
            for what in ("onnxruntime", "torch"):
                done = subprocess.run([*again, "--part", what], check=True, capture_output=True)
                rows[what] = json.loads(done.stdout.splitlines()[-1])
            for what, row in rows.items():
                best[what] = [min(pair) for pair in zip(row, best.get(what, row))]
    cells = [f"{ms:.0f} ms, {mb:.0f} MB" for ms, mb in best.values()]
    print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kinds", default=KINDS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--part")
    parser.add_argument("--folder", type=Path)
    s = parser.parse_args()
    if s.part == "write":
        write(s.folder, s.kinds)
    elif s.part:
        peer(s.part, s.folder, s.kinds, s.threads, s.rounds)
    else:
        print("| kind | run-model | ONNX Runtime | PyTorch |\n|---|---|---|---|")
        for name in s.kinds.split(","):
            compare(name, s)


if __name__ == "__main__":
    main()

"""Full-width Wav2Lip side by side: run-model, ONNX Runtime, PyTorch; fp32, this machine's CPU.

    python bench/compare_onnxruntime.py [--run-model build/release/run-model] [--output table.md]

Every peer lives in a process of its own for each thread count. Rounds go through all of them in
turn, so that whatever else the machine does meets all alike; bench/METHOD.md says more.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAUSE = 0.3  # seconds between two measurements: worker threads of the last peer stop spinning

LAUNCHER = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def drop_from_cache(path):
    """Makes the next read of a file come from the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def resident_bytes():
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024


# ---- a peer in its own process ------------------------------------------------------------------


def make_inputs(batch):
    import numpy as np

    rng = np.random.default_rng(batch)
    audio = rng.uniform(-4, 4, (batch, 1, 80, 16)).astype(np.float32)
    face = rng.uniform(0, 1, (batch, 6, 96, 96)).astype(np.float32)
    return audio, face


def onnxruntime_peer(path, threads):
    import onnxruntime

    before, start = resident_bytes(), time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    load = time.perf_counter() - start

    def run(inputs):
        return session.run(None, {"audio": inputs[0], "face": inputs[1]})[0]

    return run, load, before


def pytorch_peer(path, threads):
    import torch

    sys.path.insert(0, str(ROOT / "tests"))
    from reference.wav2lip import Wav2Lip

    torch.set_num_threads(threads)
    before, start = resident_bytes(), time.perf_counter()
    model = Wav2Lip().eval()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    load = time.perf_counter() - start

    def run(inputs):
        with torch.inference_mode():
            return model(*(torch.from_numpy(x) for x in inputs)).numpy()

    return run, load, before


def serve(kind, path, threads):
    """Answers one JSON line for each line "BATCH RUNS" on stdin."""
    run, load, before = {"onnxruntime": onnxruntime_peer, "pytorch": pytorch_peer}[kind](
        path, threads
    )
    print(json.dumps({"load_ms": load * 1e3}), flush=True)
    for line in sys.stdin:
        batch, runs = map(int, line.split())
        inputs = make_inputs(batch)
        run(inputs)  # warm-up
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            run(inputs)
            times.append((time.perf_counter() - start) * 1e3)
        grown = resident_bytes() - before  # without the interpreter and its libraries
        print(json.dumps({"ms": times, "grown_bytes": grown}), flush=True)


class Peer:
    def __init__(self, kind, path, threads):
        command = [sys.executable, __file__, "--serve", kind, str(path), str(threads)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.load_ms = self.answer()["load_ms"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a peer ended early; its message stands above")
        return json.loads(line)

    def measure(self, batch, runs):
        self.process.stdin.write(f"{batch} {runs}\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- our side -----------------------------------------------------------------------------------


def bench(program, weights, batch, threads, runs):
    command = [program, "bench", "wav2lip", "--weights", weights, "--batch", batch]
    command += ["--threads", threads, "--runs", runs, "--seconds", 0, "--json"]
    command = [str(c) for c in command]
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    *lines, peak = done.stdout.splitlines()
    result = json.loads(lines[-1])
    result["peak_bytes"] = int(peak) * 1024
    return result


# ---- preparation --------------------------------------------------------------------------------


def prepare(folder):
    """The same random network as a checkpoint with its optimizer, as bare weights, as ONNX."""
    import torch

    sys.path.insert(0, str(ROOT / "tests"))
    from reference import checkpoints, wav2lip

    model = wav2lip.random_wav2lip(1.0, seed=1)
    state = checkpoints.state_of(model)
    files = {
        "training": checkpoints.save_training_zip(state, folder / "training.pth"),
        "bare": checkpoints.save_zip(state, folder / "bare.pth"),
        "legacy": checkpoints.save_legacy(state, folder / "legacy.pth"),
        "onnx": folder / "wav2lip.onnx",
    }
    warnings.filterwarnings("ignore", module="torch")  # of the exporter, about itself
    torch.onnx.export(
        *[model, wav2lip.random_inputs(2, 1), str(files["onnx"])],
        input_names=["audio", "face"],
        output_names=["frames"],
        dynamic_axes={name: {0: "n"} for name in ("audio", "face", "frames")},
        opset_version=17,
        dynamo=False,
    )
    parameters = sum(v.numel() * v.element_size() for v in state.values())
    return files, parameters


def machine():
    import onnxruntime
    import torch

    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"model name\s*:\s*(.*)", info)
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    commit = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    return [
        f"CPU: {model[1] if model else platform.processor()}, {os.cpu_count()} CPUs visible, "
        f"governor {governor.read_text().strip() if governor.exists() else 'unknown'}",
        f"run-model {commit or 'of an unknown commit'}, ONNX Runtime {onnxruntime.__version__}, "
        f"PyTorch {torch.__version__}, Python {platform.python_version()}",
        f"Command: python {' '.join(sys.argv)}",
    ]


def compare(options, files, out):
    peers = {
        (kind, threads): Peer(kind, files[path], threads)
        for threads in options.threads
        for kind, path in (("onnxruntime", "onnx"), ("pytorch", "bare"))
    }
    titles = "batch | threads | program | min ms | median ms | frames/s (median) | memory MB"
    print(f"| {titles} |", file=out)
    print("|---|---|---|---|---|---|---|", file=out)
    summary = {}
    for batch in options.batch:
        for threads in options.threads:
            times = {"run-model": [], "onnxruntime": [], "pytorch": []}
            memory = {}
            for _ in range(options.rounds):
                for name in times:
                    if name == "run-model":
                        if not options.run_model:
                            continue
                        args = (options.run_model, files["bare"], batch, threads, options.runs)
                        result = bench(*args)
                        # The program gives order statistics of its runs, not each of them.
                        times[name] += [result["min_ms"], result["median_ms"]]
                        memory[name] = result["peak_bytes"]
                    else:
                        result = peers[name, threads].measure(batch, options.runs)
                        times[name] += [min(result["ms"]), statistics.median(result["ms"])]
                        memory[name] = result["grown_bytes"]
                    time.sleep(PAUSE)
            for name, ms in times.items():
                if not ms:
                    continue
                least, middle = min(ms[::2]), statistics.median(ms[1::2])
                summary[name, batch, threads] = (least, middle)
                print(
                    f"| {batch} | {threads} | {name} | {least:.1f} | {middle:.1f} | "
                    f"{batch * 1e3 / middle:.1f} | {memory[name] / 1e6:.0f} |",
                    file=out,
                    flush=True,
                )
    for peer in peers.values():
        peer.close()
    return summary


def cold_loads(options, files, out):
    print("\n| file, not in the page cache | program | ready after ms |", file=out)
    print("|---|---|---|", file=out)
    rows = []
    for _ in range(options.rounds):
        if options.run_model:
            for kind in ("training", "bare", "legacy"):
                drop_from_cache(files[kind])
                result = bench(options.run_model, files[kind], 1, max(options.threads), 1)
                rows.append((files[kind], "run-model", result["load_ms"]))
        for kind, path in (("onnxruntime", "onnx"), ("pytorch", "bare")):
            drop_from_cache(files[path])
            peer = Peer(kind, files[path], max(options.threads))
            peer.close()
            rows.append((files[path], kind, peer.load_ms))
    for path, name in dict.fromkeys((path, name) for path, name, _ in rows):
        ms = [m for p, n, m in rows if (p, n) == (path, name)]
        size = os.path.getsize(path) / 1e6
        print(f"| {path.name}, {size:.0f} MB | {name} | {min(ms):.0f} .. {max(ms):.0f} |", file=out)


def memory_rows(options, files, parameter_bytes, out):
    if not options.run_model:
        return
    print("\n| batch | weights MB | planned MB | peak MB | peak / (weights + planned) |", file=out)
    print("|---|---|---|---|---|", file=out)
    for batch in options.batch:
        r = bench(options.run_model, files["bare"], batch, max(options.threads), 1)
        need = parameter_bytes + r["planned_bytes"]
        print(
            f"| {batch} | {parameter_bytes / 1e6:.0f} | {r['planned_bytes'] / 1e6:.0f} | "
            f"{r['peak_bytes'] / 1e6:.0f} | {r['peak_bytes'] / need:.2f} |",
            file=out,
        )


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    if len(sys.argv) == 5 and sys.argv[1] == "--serve":
        return serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    default = ROOT / "build" / "release" / "run-model"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run-model", default=os.environ.get("RUN_MODEL", str(default)))
    parser.add_argument("--peers-only", action="store_true", help="leave run-model out")
    parser.add_argument("--batch", type=numbers, default=[1, 16], metavar="N,N")
    parser.add_argument("--threads", type=numbers, default=[1, 2], metavar="N,N")
    parser.add_argument("--rounds", type=int, default=5, help="passes over all programs")
    parser.add_argument("--runs", type=int, default=3, help="timed runs in each pass")
    parser.add_argument("--output", help="write the table there instead of to stdout")
    options = parser.parse_args()
    if options.peers_only:
        options.run_model = None
    out = open(options.output, "w", encoding="utf-8") if options.output else sys.stdout
    with tempfile.TemporaryDirectory() as folder:
        files, parameter_bytes = prepare(Path(folder))
        print("\n".join(machine()) + "\n", file=out)
        summary = compare(options, files, out)
        cold_loads(options, files, out)
        memory_rows(options, files, parameter_bytes, out)
    slower = [
        f"batch {batch}, {threads} threads: {ours[1]:.1f} ms against {summary[peer][1]:.1f} ms"
        for (name, batch, threads), ours in summary.items()
        if name == "run-model"
        for peer in [("onnxruntime", batch, threads)]
        if ours[1] > summary[peer][1]
    ]
    if slower:
        print("\nSlower than ONNX Runtime (median): " + "; ".join(slower), file=out)
    return 0


if __name__ == "__main__":
    sys.exit(main())

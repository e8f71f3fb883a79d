"""How soon full-width Wav2Lip is ready from files that are not cached, and what memory it takes.

    python bench/cold_start.py [--run-model build/release/run-model] [--output table.md]
"""

import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "tests")]

import networks  # noqa: E402
import runtimes  # noqa: E402
from reference import checkpoints  # noqa: E402

NETWORK = "wav2lip"


def drop_from_cache(path):
    """Makes the next read of a file come from the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def bench(options, weights, batch):
    arguments = [NETWORK, "--weights", weights, "--batch", batch, "--threads", options.threads]
    return runtimes.bench(options.run_model, *arguments, "--runs", 1, "--seconds", 0)


def prepare(folder):
    """The same random network as a checkpoint with its optimizer, as bare weights, as ONNX."""
    files, _ = networks.prepare(NETWORK, 2, folder)
    state = checkpoints.state_of(networks.model_of(NETWORK))
    checkpoints.save_training_zip(state, folder / "training.pth")
    checkpoints.save_legacy(state, folder / "legacy.pth")
    return files, sum(v.numel() * v.element_size() for v in state.values())


def cold_loads(options, files, folder, out):
    print("\n| file, not in the page cache | program | ready after ms |\n|---|---|---|", file=out)
    ours = [str(folder / "training.pth"), files["weights"], str(folder / "legacy.pth")]
    rows = {}
    for _ in range(options.rounds):
        for path in ours:
            drop_from_cache(path)
            rows.setdefault((path, "run-model"), []).append(bench(options, path, 1)["load_ms"])
        for kind, path in (("onnxruntime", files["onnx"]), ("openvino", files["onnx"])):
            drop_from_cache(path)
            job = {"kind": kind, "threads": options.threads, "network": NETWORK, **files}
            peer = runtimes.Peer(job)
            peer.close()
            if not peer.why:
                rows.setdefault((path, kind), []).append(peer.load_ms)
    for (path, name), ms in rows.items():
        size = os.path.getsize(path) / 1e6
        low, high = min(ms), max(ms)
        print(f"| {Path(path).name}, {size:.0f} MB | {name} | {low:.0f} .. {high:.0f} |", file=out)


def memory_rows(options, files, parameter_bytes, out):
    print("\n| batch | weights MB | planned MB | peak MB | peak / (weights + planned) |", file=out)
    print("|---|---|---|---|---|", file=out)
    for batch in (1, 16):
        found = bench(options, files["weights"], batch)
        need = parameter_bytes + found["planned_bytes"]
        cells = [parameter_bytes, found["planned_bytes"], found["peak_bytes"]]
        megabytes = " | ".join(f"{c / 1e6:.0f}" for c in cells)
        print(f"| {batch} | {megabytes} | {found['peak_bytes'] / need:.2f} |", file=out)


def main():
    parser = runtimes.parser_of(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", help="write the tables there instead of to stdout")
    options = parser.parse_args()
    out = open(options.output, "w", encoding="utf-8") if options.output else sys.stdout
    with tempfile.TemporaryDirectory() as name:
        files, parameter_bytes = prepare(Path(name))
        print("\n".join(runtimes.machine()), file=out)
        cold_loads(options, files, Path(name), out)
        memory_rows(options, files, parameter_bytes, out)


if __name__ == "__main__":
    main()

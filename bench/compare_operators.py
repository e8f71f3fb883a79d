"""Single operators and small files beside ONNX Runtime, each in a process of its own.

    python bench/compare_operators.py [--only REGEX] [--threads N] [--rounds N]

Rows are sorted by the ratio of the least times, ours to ONNX Runtime's: above 1 we are slower.
"""

import re
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import operator_files
import operator_windows
import runtimes
from operator_cases import CASES

OURS, PEER = "run_model", "bound_onnxruntime"


def job_of(title, options, folder):
    """Files of one case, with ONNX Runtime's answer; None where it has none."""
    import onnxruntime

    made, inputs = CASES[title]()
    onnx.save(made, folder / "case.onnx")
    np.savez(folder / "inputs.npz", **inputs)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            made.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        wanted = session.run(None, inputs)[0]
    except Exception as fault:  # of a type of its own for each cause
        print(f"{title}: ONNX Runtime: {str(fault).splitlines()[0][:90]}", file=sys.stderr)
        return None
    np.save(folder / "wanted.npy", wanted)
    library = Path(options.run_model).resolve().parent / "librunmodel.so"
    return {"threads": options.threads, "onnx": str(folder / "case.onnx"), "library": str(library),
            "inputs": str(folder / "inputs.npz"), "wanted": str(folder / "wanted.npy")}  # fmt: skip


def compare(peers, job, options):
    """The least times by runtime, or why there are none."""
    for kind, peer in peers.items():
        named = {"kind": kind, **job}
        if peer:
            peer.take(named)
        else:
            peers[kind] = runtimes.Peer(named)
        if peers[kind].why:
            return f"{kind} {peers[kind].why}"
    runs = dict.fromkeys(peers, 1)
    least = dict.fromkeys(peers, float("inf"))
    for _ in range(options.rounds + 1):  # the first tells how many runs make a slice
        for kind, peer in peers.items():
            if options.threads > 1:
                time.sleep(runtimes.PAUSE)
            low = min(peer.measure(runs[kind])["ms"])
            least[kind] = min(least[kind], low)
            runs[kind] = max(1, min(500, round(options.slice / low)))
    return least


def main():
    parser = runtimes.parser_of(__doc__)
    parser.add_argument("--only", type=re.compile, default="", help="names that this is found in")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7, help="passes over both runtimes")
    parser.add_argument("--slice", type=float, default=8, help="milliseconds of a pass")
    parser.add_argument("--least", type=float, default=0, help="show ratios from this on")
    options = parser.parse_args()
    out, rows, peers = options.output, [], {OURS: None, PEER: None}
    with tempfile.TemporaryDirectory() as folder:
        for title in CASES:
            if not re.search(options.only, title):
                continue
            job = job_of(title, options, Path(folder))
            found = compare(peers, job, options) if job else None
            if isinstance(found, dict):
                rows.append((found[OURS] / found[PEER], title, found))
            elif found:
                print(f"{title}: {found}", file=sys.stderr)
    for peer in filter(None, peers.values()):
        peer.close()
    print("\n".join(runtimes.machine()) + "\n", file=out)
    print("| what | run-model us | ONNX Runtime us | ratio |\n|---|---|---|---|", file=out)
    for ratio, title, found in sorted(rows, key=lambda row: -row[0]):
        if ratio >= options.least:
            us = " | ".join(f"{found[kind] * 1e3:.4g}" for kind in (OURS, PEER))
            print(f"| {title} | {us} | {ratio:.2f} |", file=out)
    slower = sum(ratio > 1.2 for ratio, *_ in rows)
    print(f"\n{len(rows)} rows, {slower} above 1.2", file=out)


if __name__ == "__main__":
    main()

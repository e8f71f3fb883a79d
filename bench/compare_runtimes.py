"""run-model beside ONNX Runtime, OpenVINO, ncnn and PyTorch; fp32, this machine's CPU.

    python bench/compare_runtimes.py [--networks lstm,mobilenetv2] [--picture ratios.svg]

Rounds go through all runtimes in turn, so that whatever else the machine does meets all alike;
bench/METHOD.md says more. Times of run-model are taken inside its process, those of the others in
Python, whose call costs a few microseconds: that matters for the LSTM at batch 1 alone.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "tests")]

import networks  # noqa: E402
import ratio_picture  # noqa: E402
import runtimes  # noqa: E402

PEERS = ["onnxruntime", "openvino", "ncnn", "pytorch"]
OURS = "run-model"


def numbers(text):
    return [int(n) for n in text.split(",")]


def measure_ours(options, network, files, shapes, threads, runs):
    arguments = [networks.builtin_of(network), "--weights", files["weights"], "--threads", threads]
    for shape in shapes:
        arguments += ["--shape", shape]
    return runtimes.bench(options.run_model, *arguments, "--runs", runs, "--seconds", 0)


def compare(options, network, batch, threads, folder):
    """Medians by runtime, and why others are missing."""
    files, shapes = networks.prepare(network, batch, folder)
    peers, missing = {}, {}
    for kind in options.peers:
        if kind == "ncnn" and not files["ncnn"]:
            missing[kind] = "batch 1 only" if batch > 1 else "not converted by pnnx"
            continue
        job = {"kind": kind, "threads": threads, "network": network, **files}
        peer = runtimes.Peer(job)
        if peer.why:
            missing[kind] = peer.why
            peer.close()
        else:
            peers[kind] = peer
    times = {name: ([], []) for name in [OURS, *peers]}
    runs = options.runs
    for turn in range(options.rounds + 1):  # the first tells how many runs make a tenth of a second
        for name, (least, middle) in times.items():
            if name == OURS:
                result = measure_ours(options, network, files, shapes, threads, runs)
                low, median = result["min_ms"], result["median_ms"]
            else:
                ms = peers[name].measure(runs)["ms"]
                low, median = min(ms), statistics.median(ms)
            if turn:
                least.append(low)
                middle.append(median)
            elif name == OURS:
                runs = max(options.runs, min(2000, round(100 / median)))
            time.sleep(runtimes.PAUSE)
    for peer in peers.values():
        peer.close()
    return {name: (min(a), statistics.median(b)) for name, (a, b) in times.items()}, missing


def print_row(network, batch, threads, found, missing, out):
    cells = [network, str(batch), str(threads)]
    for name in [OURS, *PEERS]:
        if name in found:
            cells.append("/".join(f"{ms:.4g}" for ms in found[name]))
        else:
            cells.append(missing.get(name, "-"))
    ours = found[OURS][1]
    ratios = [f"{name} {found[name][1] / ours:.2f}" for name in PEERS if name in found]
    print(f"| {' | '.join(cells)} | {', '.join(ratios)} |", file=out, flush=True)


def main():
    parser = runtimes.parser_of(__doc__)
    parser.add_argument("--networks", default=",".join(networks.USUAL),
                        help="also " + ",".join(n for n in networks.NETWORKS
                                                if n not in networks.USUAL))  # fmt: skip
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--batch", type=numbers, metavar="N,N", help="instead of each one's own")
    parser.add_argument("--threads", type=numbers, default=[1, 2], metavar="N,N")
    parser.add_argument("--rounds", type=int, default=5, help="passes over all runtimes")
    parser.add_argument("--runs", type=int, default=3, help="least timed runs in each pass")
    parser.add_argument("--picture", help="draw the ratios into this SVG file")
    options = parser.parse_args()
    options.peers = options.peers.split(",")
    out = options.output
    rows = []
    print("\n".join(runtimes.machine()) + "\n\nMilliseconds, least/median.\n", file=out)
    columns = ["network", "batch", "threads", OURS, *PEERS, "their median / ours"]
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", file=out, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for network in options.networks.split(","):
            for batch in options.batch or networks.BATCHES[network]:
                for threads in options.threads:
                    found, missing = compare(options, network, batch, threads, folder)
                    print_row(network, batch, threads, found, missing, out)
                    medians = {name: median for name, (_, median) in found.items()}
                    rows.append((f"{network}, batch {batch}, {threads} threads", medians))
    if options.picture:
        Path(options.picture).write_text(ratio_picture.draw(rows, OURS), encoding="utf-8")
        print(f"\nPicture: {options.picture}", file=sys.stderr)


if __name__ == "__main__":
    main()

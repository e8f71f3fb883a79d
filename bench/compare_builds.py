"""Two builds of run-model against each other, interleaved: the ratio of their times, by network.

    python bench/compare_builds.py BEFORE AFTER [NETWORK...] [--threads 1,2] [--rounds 7]

A and B run in turn, and every other round in the order B A, so that what else the machine does
meets both. Ratios are those of the minima and of the medians over all rounds; above 1 AFTER is
slower. A difference below the noise, which is how far a usual round lies above the best, says
nothing.
"""

import argparse
import json
import statistics
import subprocess
import sys

# What is measured unless networks are named: those people run, at sizes that take milliseconds.
NETWORKS = {
    "wav2lip": [], "s3fd": ["--shape", "image=1x3x128x192"],
    "ffdnet": ["--shape", "image=1x3x128x128"], "mobilenetv2": [], "lstm": [],
    "unet": ["--shape", "sample=1x8x16x16"], "vae-encoder": ["--shape", "sample=1x3x64x64"],
    "vae-decoder": ["--shape", "latent_sample=1x4x8x8"],
    "wav2vec2": ["--shape", "input_values=1x8000"],
}  # fmt: skip


def run(program, network, threads, options):
    """(fastest, median) of one process, in milliseconds."""
    command = [program, "bench", network, "--json", "--quiet", "--threads", str(threads),
               *NETWORKS.get(network, []), *options]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    told = json.loads(done.stdout)
    return told["min_ms"], told["median_ms"]


def compare(programs, network, threads, rounds, options):
    """Prints a row; returns the ratio of the minima."""
    times = ([], [])
    for i in range(rounds):
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            times[which].append(run(programs[which], network, threads, options))
    least = [min(fastest for fastest, _ in t) for t in times]
    middle = [statistics.median(median for _, median in t) for t in times]
    spreads = [statistics.median(fastest for fastest, _ in t) / low for t, low in zip(times, least)]
    noise = max(spreads) - 1
    print(f"{network:<16}{threads:>3}{least[0]:>12.3f}{least[1]:>12.3f}{least[1] / least[0]:>9.3f}"
          f"{middle[1] / middle[0]:>9.3f}{100 * noise:>8.1f} %", flush=True)  # fmt: skip
    return least[1] / least[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", help="a run-model")
    parser.add_argument("after", help="another")
    parser.add_argument("network", nargs="*", help=f"without: {' '.join(NETWORKS)}")
    parser.add_argument("--threads", default="1", help="thread counts (1)")
    parser.add_argument("--rounds", type=int, default=7, help="processes of each build (7)")
    parser.add_argument("--seconds", default="0.5", help="of each process, at least (0.5)")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--most", type=float, help="fail where a ratio of minima is above this")
    given = parser.parse_args()
    options = ["--precision", given.precision, "--seconds", given.seconds, "--runs", "3"]
    print(f"{given.rounds} rounds, interleaved; {given.precision}; times in ms\n"
          f"{'network':<16}{'thr':>3}{'before':>12}{'after':>12}{'minima':>9}{'medians':>9}"
          f"{'noise':>10}")  # fmt: skip
    ratios = [
        compare((given.before, given.after), network, int(threads), given.rounds, options)
        for network in given.network or NETWORKS
        for threads in given.threads.split(",")
    ]
    print(f"geometric mean of the minima: {statistics.geometric_mean(ratios):.3f}")
    return bool(given.most and max(ratios) > given.most)


if __name__ == "__main__":
    sys.exit(main())

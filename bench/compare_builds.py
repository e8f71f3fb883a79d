"""Two builds of run-model, or two precisions of one, interleaved: the ratio of their times.

    python bench/compare_builds.py BEFORE AFTER [NETWORK[@BATCH][=WEIGHTS]...] [--threads 1,2]
    python bench/compare_builds.py PROGRAM PROGRAM --precision f32,bf16 --cpu --most 1.03

A and B run in turn, and every other round in the order B A, so that what else the machine does
meets both. Ratios are those of the minima and of the medians over all rounds; above 1 the second is
slower. A difference below the noise, which is how far a usual round lies above the best, says
nothing: 3 % on a quiet machine, 10 % on one that others load.

--cpu takes CPU time instead, of two processes of different length, so that loading drops out.
"""

import argparse
import json
import os
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
# For CPU time, at the sizes that are used; and by how many runs the longer process is longer.
FULL = """wav2lip wav2lip@16 ffdnet ffdnet=data/weights/ffdnet_gray.safetensors s3fd mobilenetv2
mobilenetv2@8 lstm unet vae-encoder vae-decoder wav2vec2 whisper-encoder""".split()
RUNS = {"unet": 2, "vae-encoder": 2, "vae-decoder": 2, "mobilenetv2": 64, "lstm": 20000}


def bench(program, network, precision, threads, mask, *options):
    """What `run-model bench` tells, and the CPU time of its process."""
    named, _, weights = network.partition("=")
    name, _, batch = named.partition("@")
    command = [program, "bench", name, "--json", "--quiet", "--threads", threads, "--precision",
               precision, *(["--batch", batch] if batch else []),
               *(["--weights", weights] if weights else []), *options]  # fmt: skip
    done = subprocess.Popen(command, stdout=subprocess.PIPE,
                            env={**os.environ, "RML_CPU_MASK": mask})  # fmt: skip
    text = done.stdout.read()
    _, status, usage = os.wait4(done.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return json.loads(text.splitlines()[-1]), usage.ru_utime + usage.ru_stime


def wall_time(given, network, *side):
    """(fastest, median) of one process, in milliseconds."""
    shape = [] if "@" in network else NETWORKS.get(network.partition("=")[0], [])
    told, _ = bench(*side, "--seconds", given.seconds, "--runs", "3", *shape)
    return told["min_ms"], told["median_ms"]


def cpu_time(given, network, *side):
    name, _, batch = network.partition("=")[0].partition("@")
    more = max(1, RUNS.get(name, 8) // int(batch or 1))
    (few, short), (many, long) = (bench(*side, "--seconds", "0", "--runs", str(1 + runs))
                                  for runs in (0, more))  # fmt: skip
    return (1e3 * (long - short) / (many["runs"] - few["runs"]),) * 2


def compare(given, network, threads, mask):
    """Prints a row; returns the ratio of the minima."""
    times, precisions = ([], []), given.precision.split(",")
    for i in range(given.rounds):
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            program = (given.before, given.after)[which]
            side = program, network, precisions[which % len(precisions)], threads, mask
            times[which].append((cpu_time if given.cpu else wall_time)(given, network, *side))
    least = [min(fastest for fastest, _ in t) for t in times]
    middle = [statistics.median(median for _, median in t) for t in times]
    spreads = [statistics.median(fastest for fastest, _ in t) / low for t, low in zip(times, least)]
    print(f"{network:<16}{threads:>3}{mask or '-':>10}{least[0]:>12.4g}{least[1]:>12.4g}"
          f"{least[1] / least[0]:>9.3f}{middle[1] / middle[0]:>9.3f}"
          f"{100 * (max(spreads) - 1):>8.1f} %", flush=True)  # fmt: skip
    return least[1] / least[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", help="a run-model")
    parser.add_argument("after", help="another, or the same")
    parser.add_argument("network", nargs="*", help=f"without: {' '.join(NETWORKS)}")
    parser.add_argument("--threads", default="1", help="thread counts (1)")
    parser.add_argument("--rounds", type=int, default=7, help="processes of each build (7)")
    parser.add_argument("--seconds", default="0.5", help="of each process, at least (0.5)")
    parser.add_argument("--precision", default="f32", help="of both, or one of each: f32,bf16")
    parser.add_argument("--cpu", action="store_true", help="CPU time; networks at full size")
    parser.add_argument("--masks", nargs="*", default=[""], help="values of RML_CPU_MASK")
    parser.add_argument("--most", type=float, help="fail where a ratio of minima is above this")
    given = parser.parse_args()
    print(f"{given.rounds} rounds, interleaved; {given.precision}; times in ms\n"
          f"{'network':<16}{'thr':>3}{'without':>10}{'before':>12}{'after':>12}{'minima':>9}"
          f"{'medians':>9}{'noise':>10}")  # fmt: skip
    ratios = [compare(given, network, threads, mask)
              for network in given.network or (FULL if given.cpu else NETWORKS)
              for threads in given.threads.split(",") for mask in given.masks]  # fmt: skip
    print(f"geometric mean of the minima: {statistics.geometric_mean(ratios):.3f}")
    return bool(given.most and max(ratios) > given.most)


if __name__ == "__main__":
    sys.exit(main())

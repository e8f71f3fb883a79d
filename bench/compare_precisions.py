"""bf16 against f32 for every network: CPU time of a run, and exit code 1 where bf16 takes longer.

    python bench/compare_precisions.py [--masks M ...] [-- NETWORK[@BATCH][=WEIGHTS] ...]

CPU time of two processes of different length, so that loading drops out; precisions in turn, the
least of the rounds. A mask is what RML_CPU_MASK takes away. bf16 may take --slack percent longer,
by which two measurements of the same differ: 3 on a quiet machine, 10 on one that others load.
"""

import argparse
import json
import os
import subprocess
import sys

NETWORKS = """wav2lip wav2lip@16 ffdnet ffdnet=data/weights/ffdnet_gray.safetensors s3fd mobilenetv2
mobilenetv2@8 lstm unet vae-encoder vae-decoder wav2vec2 whisper-encoder""".split()
RUNS = {"unet": 2, "vae-encoder": 2, "vae-decoder": 2, "mobilenetv2": 64, "lstm": 20000}


def split(network):
    named, _, weights = network.partition("=")
    return named.partition("@"), weights


def cpu_of(program, network, precision, threads, mask, runs):
    (name, _, batch), weights = split(network)
    options = ["--batch", batch or "1", "--threads", threads, "--precision", precision]
    options += ["--weights", weights] if weights else []
    done = subprocess.Popen(
        [program, "bench", name, *options, "--runs", str(runs), "--seconds", "0", "--json"],
        stdout=subprocess.PIPE,
        env={**os.environ, "RML_CPU_MASK": mask},
    )
    line = done.stdout.read().splitlines()[-1]
    _, status, usage = os.wait4(done.pid, 0)
    if status:
        sys.exit(f"{network} in {precision} failed")
    return usage.ru_utime + usage.ru_stime, json.loads(line)["runs"]


def run_of(*arguments, more):
    few, count = cpu_of(*arguments, 1)
    many, total = cpu_of(*arguments, 1 + more)
    return 1e3 * (many - few) / (total - count)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="build/release/run-model")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--slack", type=float, default=3.0)
    parser.add_argument("--masks", nargs="*", default=["", "amx-bf16"])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    args = parser.parse_args()
    slower = 0
    print("| network | threads | without | f32 | bf16 | f32 / bf16 |\n|---|---|---|---|---|---|")
    for network in args.networks or NETWORKS:
        name, _, batch = split(network)[0]
        more = max(1, RUNS.get(name, 8) // int(batch or 1))
        for threads in args.threads.split(","):
            for mask in args.masks:
                best = {}
                for turn in range(args.rounds):
                    for precision in ("f32", "bf16")[:: 1 - turn % 2 * 2]:
                        run = args.program, network, precision, threads, mask
                        best[precision] = min(best.get(precision, 1e9), run_of(*run, more=more))
                f32, bf16 = best["f32"], best["bf16"]
                worse = bf16 > (1 + args.slack / 100) * f32
                slower += worse
                told = f"{f32:.4g} | {bf16:.4g} | {f32 / bf16:.2f}{' slower' if worse else ''}"
                print(f"| {network} | {threads} | {mask or '-'} | {told} |", flush=True)
    sys.exit(bool(slower))


if __name__ == "__main__":
    main()

"""Builds every preset and runs all tests; the last line is "N passed, N failed".

Called by `run.sh test`, which has seen to the packages. Each step writes its output to
build/logs/STEP.log; what failed is shown here. Exit code 0 only when nothing failed.
"""

import argparse
import os
import shutil
import sys
import time

from test_steps import LOGS, SLOW, Runner, coverage, fuzz, preset, python

# name: what to run, what it shows
STEPS = {
    "release": (preset("release"),
                "C tests, house checks, installed package, as people get it"),
    "asan": (preset("asan", env=SLOW),
             "the same C tests under AddressSanitizer and UndefinedBehaviorSanitizer"),
    "portable": (preset("portable"), "portable C without threads, libav and image libraries"),
    "tsan": (preset("tsan", "-R", "thread|session|graph_random", env=SLOW),
             "ThreadSanitizer on what uses threads"),
    # asan has seen to these under gcc; each fails every allocation of a whole run in turn.
    "clang": (preset("fuzz", "-E", "^test_(lipsync|sync)_nomem$", env=SLOW),
              "clang: warnings are errors, C tests, fuzz targets over their corpus"),
    "aarch64": (preset("aarch64", env=SLOW),
                "64-bit ARM: kernels and C tests under qemu"),
    "msan": (preset("msan", "-E", "^check-kernels$", env=SLOW),
             "MemorySanitizer on the C tests, portable C"),
    "python": (python("tests"), "the program against PyTorch, OpenCV, librosa and others"),
    "coverage": (coverage, "lines and branches of tensor, graph, engine, loaders, writers"),
}
FAST = {
    "release": STEPS["release"],
    "python": (python("tests", "-m", "fast"), "the quick part of the tests in Python"),
}
LONG = {
    "i686": (preset("i686"), "a 32-bit machine"),
    "armv7": (preset("armv7", env=SLOW), "32-bit ARM with NEON, under qemu"),
    # Emulated so far from this CPU these take minutes each, and tell nothing that ARM does not.
    "riscv64": (preset("riscv64", "-E", "^test_(nomem|crop_random|session_crop)$", env=SLOW),
                "64-bit RISC-V, under qemu"),
    "graphs": (python("tests/onnx/test_random_graphs.py",
                      env={"RUN_MODEL_RANDOM_GRAPHS": "20000"}), "twenty thousand random graphs"),
    "fuzz": (fuzz, "each fuzz target for ten minutes"),
}


def parse_arguments():
    listing = [f"  {name:<10}{what}" for name, (_, what) in STEPS.items()]
    listing += [f"  {name:<10}{what} (--long)" for name, (_, what) in LONG.items()]
    parser = argparse.ArgumentParser(
        prog="run.sh test", description="Builds every preset and runs all tests.",
        epilog="steps:\n" + "\n".join(listing),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    tier = parser.add_mutually_exclusive_group()
    tier.add_argument("--fast", action="store_true",
                      help="for work in between: C tests and a part of the Python tests")
    tier.add_argument("--long", action="store_true", help="all steps, and those marked so below")
    tier.add_argument("--only", metavar="STEP,...", help="run these steps only")
    parser.add_argument("--cmake", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--ninja", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.cmake = shutil.which(options.cmake)
    if not options.cmake:
        parser.error("cmake not found")
    if options.fast:
        return options, FAST
    everything = {**STEPS, **LONG}
    chosen = options.only.split(",") if options.only else STEPS
    unknown = [name for name in chosen if name not in everything]
    if unknown:
        parser.error(f"no such step: {', '.join(unknown)}")
    return options, everything if options.long else {name: everything[name] for name in chosen}


def main():
    options, steps = parse_arguments()
    shutil.rmtree(LOGS, ignore_errors=True)
    os.makedirs(LOGS)
    runner = Runner(options.cmake, options.ninja)
    started = time.monotonic()
    for name, (run, what) in steps.items():
        runner.step(name, run, what)

    total = runner.total
    for name in total.skipped:
        print(f"skipped: {name}")
    for name in total.failed:
        print(f"FAILED: {name}")
    spent = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in runner.seconds.items())
    print(f"{spent}; together {time.monotonic() - started:.0f} s")
    print(f"{len(total.skipped)} skipped")
    print(f"{total.passed} passed, {len(total.failed)} failed", flush=True)
    return 1 if total.failed or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

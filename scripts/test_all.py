"""Builds every preset and runs all tests; the last line is "N passed, N failed".

Called by `run.sh test`, which has seen to the packages. Each step writes its output to
build/logs/STEP.log; what failed is shown here. Exit code 0 only when nothing failed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time

import python_env as environment
import results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "logs")
REQUIREMENTS = os.path.join(ROOT, "tests", "requirements.txt")
SHOWN_LINES = 150  # of the log of a command that failed
BUILD_SECONDS = 900
CTEST_SECONDS = 900
ONE_TEST_SECONDS = 300
PIP_SECONDS = 1200
PYTEST_SECONDS = 1500

# name, preset, which C tests (a regular expression, None: only the build), what it shows
PRESETS = [
    ("release", "release", "", "C tests, house checks, installed package, as people get it"),
    ("asan", "asan", "", "the same C tests under AddressSanitizer and UndefinedBehaviorSanitizer"),
    ("portable", "portable", "", "portable C without threads, libav and stb"),
    ("tsan", "tsan", "thread|session|graph_random", "ThreadSanitizer on what uses threads"),
    ("clang", "fuzz", "", "clang: warnings are errors, C tests, fuzz targets over their corpus"),
]


# Sanitizers keep their books at fixed addresses, which a kernel that spreads programs wide may have
# given away already; these run without that spreading where the system lets us.
FIXED_ADDRESSES = ("asan", "tsan", "fuzz")


def fixed_addresses():
    """What to put before a command to run it so; nothing where it is not allowed."""
    prefix = ["setarch", os.uname().machine, "-R"]
    try:
        done = subprocess.run(prefix + ["true"], capture_output=True, check=False)
    except OSError:
        return []
    return prefix if done.returncode == 0 else []


class Runner:
    def __init__(self, options):
        self.options = options
        self.total = results.Counts()

    def command(self, step, arguments, seconds, env=None):
        """Runs one command into the step's log; returns its exit code, None when out of time."""
        path = os.path.join(LOGS, f"{step}.log")
        with open(path, "ab") as log:
            log.write(("+ " + " ".join(arguments) + "\n").encode())
            log.flush()
            start = log.tell()
            process = subprocess.Popen(arguments, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, env=env, start_new_session=True)
            try:
                code = process.wait(timeout=seconds)
            except BaseException as stop:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                if not isinstance(stop, subprocess.TimeoutExpired):
                    raise
                code = None
        if code != 0:
            self.show(path, start, " ".join(arguments), code, seconds)
        return code

    @staticmethod
    def show(path, start, command, code, seconds):
        with open(path, "rb") as log:
            log.seek(start)
            lines = log.read().decode("utf-8", "replace").splitlines()
        if len(lines) > SHOWN_LINES:
            print(f"... {len(lines) - SHOWN_LINES} lines more in {os.path.relpath(path, ROOT)}")
        print("\n".join(lines[-SHOWN_LINES:]))
        how = f"not done after {seconds} s" if code is None else f"exit code {code}"
        print(f"FAILED ({how}): {command}", flush=True)

    def fail(self, what):
        self.total.failed.append(what)

    def finish(self, step, code, junit, from_ctest, started):
        counts = results.judge(step, -1 if code is None else code, junit, from_ctest)
        self.total.add(counts)
        print(f"   {counts.passed} passed, {len(counts.failed)} failed, "
              f"{len(counts.skipped)} skipped, {time.monotonic() - started:.0f} s", flush=True)

    def preset(self, step, preset, tests):
        started = time.monotonic()
        cmake, folder = self.options.cmake, os.path.join(ROOT, "build", preset)
        configure = [cmake, "--preset", preset]
        if self.options.ninja:
            configure.append("-DCMAKE_MAKE_PROGRAM=" + shutil.which(self.options.ninja))
        if preset == "release":
            configure += ["-DRML_CHECKS=ON", "-DPython3_EXECUTABLE=" + sys.executable]
        for arguments in (configure, [cmake, "--build", folder]):
            if self.command(step, arguments, BUILD_SECONDS) != 0:
                return self.fail(f"{step}: {' '.join(arguments[:2])}")
        junit = os.path.join(LOGS, f"{step}.xml")
        # ctest is a sibling of cmake, and of the same version.
        ctest = os.path.join(os.path.dirname(cmake), "ctest")
        arguments = [ctest, "--test-dir", folder, "--output-on-failure", "--output-junit", junit,
                     "--timeout", str(ONE_TEST_SECONDS), "-j", str(os.cpu_count() or 1)]
        if tests:
            arguments += ["-R", tests]
        if preset in FIXED_ADDRESSES:
            arguments = fixed_addresses() + arguments
        code = self.command(step, arguments, CTEST_SECONDS)
        return self.finish(step, code, junit, True, started)

    def python(self, step):
        started = time.monotonic()
        folder = os.environ.get("RUN_MODEL_VENV") or os.path.join(ROOT, "build", "venv")
        for arguments in environment.commands(folder, REQUIREMENTS):
            if self.command(step, arguments, PIP_SECONDS) != 0:
                return self.fail(f"{step}: {' '.join(arguments[:4])}")
        environment.mark_current(folder, REQUIREMENTS)
        print(f"   packages after {time.monotonic() - started:.0f} s", flush=True)
        program = os.path.join(ROOT, "build", "release", "run-model")
        env = dict(os.environ, RUN_MODEL=program, PYTHONDONTWRITEBYTECODE="1")
        junit = os.path.join(LOGS, f"{step}.xml")
        arguments = [environment.python_of(folder), "-m", "pytest", "tests", "-q", "-ra",
                     "--durations=15", f"--junitxml={junit}"]
        code = self.command(step, arguments, PYTEST_SECONDS, env)
        return self.finish(step, code, junit, False, started)


def parse_arguments(steps):
    listing = "\n".join(f"  {name:<10}{what}" for name, what in steps.items())
    parser = argparse.ArgumentParser(
        prog="run.sh test", description="Builds every preset and runs all tests.",
        epilog="steps:\n" + listing, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="STEP,...", help="run these steps only")
    parser.add_argument("--cmake", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--ninja", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.cmake = shutil.which(options.cmake)
    chosen = options.only.split(",") if options.only else list(steps)
    unknown = [name for name in chosen if name not in steps]
    if unknown or not options.cmake:
        parser.error(f"no such step: {', '.join(unknown)}" if unknown else "cmake not found")
    return options, chosen


def main():
    steps = {name: what for name, _, _, what in PRESETS}
    steps["python"] = "the program against PyTorch, OpenCV, librosa and others"
    options, chosen = parse_arguments(steps)
    shutil.rmtree(LOGS, ignore_errors=True)
    os.makedirs(LOGS)
    runner = Runner(options)
    started = time.monotonic()
    for name, preset, tests, _ in PRESETS:
        if name in chosen:
            print(f"== {name}: {steps[name]}", flush=True)
            runner.preset(name, preset, tests)
    if "python" in chosen:
        print(f"== python: {steps['python']}", flush=True)
        runner.python("python")

    total = runner.total
    for name in total.skipped:
        print(f"skipped: {name}")
    for name in total.failed:
        print(f"FAILED: {name}")
    print(f"{len(total.skipped)} skipped, {time.monotonic() - started:.0f} s")
    print(f"{total.passed} passed, {len(total.failed)} failed", flush=True)
    return 1 if total.failed or total.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

"""The steps of the test command: what each builds and runs, and how it is counted."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import results

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "logs")
REQUIREMENTS = os.path.join(ROOT, "tests", "requirements.txt")
SHOWN_LINES = 150  # of the log of a command that failed
BUILD_SECONDS = 900
CTEST_SECONDS = 1200
ONE_TEST_SECONDS = 300
PIP_SECONDS = 1200
PYTEST_SECONDS = 1500
FUZZ_SECONDS = 600  # of each target, in the long tier
COVERED = ("tensor", "graph", "engine", "loaders", "writers")
LEAST_COVERED = 90  # percent of lines
# Of an emulated or instrumented CPU: tests take smaller sizes and fewer cases of the same.
SLOW = {"RUN_MODEL_SLOW_TESTS": "1"}

# Sanitizers keep their books at fixed addresses, which a kernel that spreads programs wide may have
# given away already; these run without that spreading where the system lets us.
FIXED_ADDRESSES = ("asan", "tsan", "msan", "fuzz")


def fixed_addresses():
    """What to put before a command to run it so; nothing where it is not allowed."""
    prefix = ["setarch", os.uname().machine, "-R"]
    works = shutil.which(prefix[0]) and subprocess.run(prefix + ["true"], check=False,
                                                       capture_output=True).returncode == 0
    return prefix if works else []


class Runner:
    def __init__(self, cmake, ninja):
        self.cmake, self.ninja = cmake, ninja
        self.total = results.Counts()
        self.seconds = {}  # of each step

    def step(self, name, run, what):
        """Runs one step: run(self, name) returns its counts."""
        print(f"== {name}: {what}", flush=True)
        started = time.monotonic()
        counts = run(self, name)
        self.total.add(counts)
        self.seconds[name] = time.monotonic() - started
        print(f"   {counts.passed} passed, {len(counts.failed)} failed, "
              f"{len(counts.skipped)} skipped, {self.seconds[name]:.0f} s", flush=True)

    def command(self, step, arguments, seconds, env=None):
        """Runs one command into the step's log; returns its exit code, -1 when out of time."""
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
                code = -1
                print(f"not done after {seconds} s:", flush=True)
        if code != 0:
            self.tail(path, SHOWN_LINES, start)
            print(f"FAILED (exit code {code}): {' '.join(arguments)}", flush=True)
        return code

    @staticmethod
    def tail(path, count, start=0):
        """Prints the last lines of a log, of those from byte `start` on."""
        with open(path, "rb") as log:
            log.seek(start)
            lines = log.read().decode("utf-8", "replace").splitlines()
        if start and len(lines) > count:
            print(f"... {len(lines) - count} lines more in {os.path.relpath(path, ROOT)}")
        print("\n".join(lines[-count:]), flush=True)

    def build(self, step, preset, *options):
        """None, or counts that say what failed."""
        configure = [self.cmake, "--preset", preset, *options]
        if self.ninja:
            configure.append("-DCMAKE_MAKE_PROGRAM=" + shutil.which(self.ninja))
        for arguments in (configure, [self.cmake, "--build", os.path.join(ROOT, "build", preset)]):
            if self.command(step, arguments, BUILD_SECONDS) != 0:
                return results.Counts(failed=[f"{step}: {' '.join(arguments[:2])}"])
        return None

    def ctest(self, step, preset, *selection, env=None):
        junit = os.path.join(LOGS, f"{step}.xml")
        # ctest is a sibling of cmake, and of the same version.
        arguments = [os.path.join(os.path.dirname(self.cmake), "ctest"), "--test-dir",
                     os.path.join(ROOT, "build", preset), "--output-on-failure",
                     "--output-junit", junit, "--timeout", str(ONE_TEST_SECONDS),
                     "-j", str(os.cpu_count() or 1), *selection]
        if preset in FIXED_ADDRESSES:
            arguments = fixed_addresses() + arguments
        env = None if env is None else {**os.environ, **env}
        code = self.command(step, arguments, CTEST_SECONDS, env)
        return results.judge(step, code, junit, from_ctest=True)

    def packages(self, step):
        """None, or counts that say what failed; afterwards self.python is there. The environment is
        made once for each content of requirements.txt and version of Python."""
        folder = os.environ.get("RUN_MODEL_VENV") or os.path.join(ROOT, "build", "venv")
        stamp, self.python = Path(folder, "requirements.sha256"), os.path.join(folder, "bin/python")
        content = Path(REQUIREMENTS).read_bytes() + sys.version.encode()
        wanted = hashlib.sha256(content).hexdigest()
        if stamp.is_file() and stamp.read_text() == wanted and os.path.exists(self.python):
            return None
        shutil.rmtree(folder, ignore_errors=True)
        install = [self.python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet",
                   "--retries", "5", "-r", REQUIREMENTS]
        for arguments in ([sys.executable, "-m", "venv", folder], install):
            if self.command(step, arguments, PIP_SECONDS) != 0:
                return results.Counts(failed=[f"{step}: {' '.join(arguments[:4])}"])
        stamp.write_text(wanted)
        return None

    def pytest(self, step, preset, *selection, env=None):
        program = os.path.join(ROOT, "build", preset, "run-model")
        env = dict(os.environ, RUN_MODEL=program, PYTHONDONTWRITEBYTECODE="1", **(env or {}))
        junit = os.path.join(LOGS, f"{step}.xml")
        # The tests of a file share what its fixtures make, so they stay together.
        arguments = [self.python, "-m", "pytest", "-q", "-ra", "--durations=15",
                     "-n", str(os.cpu_count() or 1), "--dist", "loadfile",
                     f"--junitxml={junit}", *selection]
        code = self.command(step, arguments, PYTEST_SECONDS, env)
        return results.judge(step, code, junit, from_ctest=False)


# ---- the steps ----------------------------------------------------------------------------------


def preset(name, *selection, env=None):
    """A step that builds a preset and runs its C tests."""
    options = []
    if name == "release":
        options = ["-DRML_CHECKS=ON", "-DPython3_EXECUTABLE=" + sys.executable]
    return lambda runner, step: (runner.build(step, name, *options)
                                 or runner.ctest(step, name, *selection, env=env))


def python(*selection, env=None):
    """A step that runs Python tests with the program of the release preset."""
    return lambda runner, step: (runner.packages(step)
                                 or runner.pytest(step, "release", *selection, env=env))


def coverage(runner, step):
    """C tests and Python tests of files of an instrumented build; then what they ran."""
    build = os.path.join(ROOT, "build", step)
    failed = runner.build(step, step) or runner.packages(step)
    if failed:
        return failed
    for counted in Path(build).rglob("*.gcda"):  # by earlier runs
        counted.unlink()
    counts = runner.ctest(step, step, "-E", "check-kernels|pipeline|media|bench", env=SLOW)
    counts.add(runner.pytest(step, step, "tests/onnx", "tests/coreml", "tests/loaders",
                             "tests/writers", "-k", "not random_graphs and not boards"))
    arguments = [sys.executable, "scripts/line_coverage.py", build, str(LEAST_COVERED), *COVERED]
    code = runner.command(step, arguments, BUILD_SECONDS)
    runner.tail(os.path.join(LOGS, f"{step}.log"), len(COVERED) + 16)
    if code != 0:
        counts.failed.append(f"{step}: too few lines of {' '.join(COVERED)} are run")
    return counts


def fuzz(runner, step):
    """Each fuzz target for some minutes."""
    failed = runner.build(step, "fuzz")
    if failed:
        return failed
    counts = results.Counts()
    folder = os.path.join(ROOT, "build", "fuzz", "tests", "fuzz")
    corpus = os.path.join(ROOT, "tests", "fuzz", "corpus")
    for target in sorted(os.listdir(corpus)):
        found = os.path.join(folder, "found", target)
        os.makedirs(found, exist_ok=True)
        command = fixed_addresses() + [
            os.path.join(folder, f"fuzz_{target}"), f"-max_total_time={FUZZ_SECONDS}",
            "-timeout=20", f"-artifact_prefix={found}-", f"-fork={os.cpu_count() or 1}", found,
            os.path.join(corpus, target)]
        if runner.command(step, command, 2 * FUZZ_SECONDS) == 0:
            counts.passed += 1
        else:
            counts.failed.append(f"{step}: {target}")
    return counts

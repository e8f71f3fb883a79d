"""The virtual environment of the Python tests, made once for each content of requirements.txt."""

import hashlib
import os
import shutil
import sys

STAMP = "requirements.sha256"


def fingerprint(requirements):
    with open(requirements, "rb") as file:
        content = file.read()
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


def python_of(folder):
    return os.path.join(folder, "bin", "python")


def is_current(folder, wanted):
    try:
        with open(os.path.join(folder, STAMP), encoding="ascii") as file:
            return file.read() == wanted and os.path.exists(python_of(folder))
    except OSError:
        return False


def commands(folder, requirements):
    """What to run, in order, to have the environment; empty when it is there already."""
    wanted = fingerprint(requirements)
    if is_current(folder, wanted):
        return []
    shutil.rmtree(folder, ignore_errors=True)
    return [
        [sys.executable, "-m", "venv", folder],
        [python_of(folder), "-m", "pip", "install", "--disable-pip-version-check", "--quiet",
         "--retries", "5", "-r", requirements],
    ]


def mark_current(folder, requirements):
    with open(os.path.join(folder, STAMP), "w", encoding="ascii") as file:
        file.write(fingerprint(requirements))

"""Formatting: clang-format decides for C; lines, tabs and line ends for everything.

Version 14 of clang-format, because another one formats differently. Exit 77 (skipped) without it,
unless CI is set.
"""

import os
import shutil
import subprocess
import sys

import house

VERSION = "14."
COLUMNS = {".c": 100, ".h": 100, ".inc": 100, ".py": 100, ".sh": 100, ".cmake": 110}
FORMATTED = (".c", ".h", ".inc")


def clang_format():
    for name in ("clang-format-14", "clang-format"):
        program = shutil.which(name)
        if program:
            text = subprocess.run([program, "--version"], capture_output=True, text=True,
                                  check=False).stdout
            if f"version {VERSION}" in text:
                return program
    return None


def line_faults(path):
    text = house.read(path)
    limit = COLUMNS.get(os.path.splitext(path)[1])
    for number, line in enumerate(text.split("\n"), 1):
        if limit and len(line) > limit:
            yield f"{path}:{number}: {len(line)} columns, at most {limit}"
        if line != line.rstrip():
            yield f"{path}:{number}: blanks at the end"
        if "\t" in line:
            yield f"{path}:{number}: tab"
        if path.endswith(FORMATTED) and not line.isascii():
            yield f"{path}:{number}: not ASCII"
    if not text.endswith("\n") or text.endswith("\n\n"):
        yield f"{path}: must end with one line end"


def main():
    program = clang_format()
    if not program:
        print("no clang-format of version 14")
        sys.exit(1 if os.environ.get("CI") else 77)
    faults = []
    sources = house.files(*FORMATTED)
    done = subprocess.run([program, "--dry-run", "-Werror", *sources], cwd=house.ROOT,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        complaints = [line for line in done.stderr.splitlines() if ": error:" in line]
        bad = sorted({line.split(":")[0] for line in complaints})
        faults += [f"{path}: not as clang-format -i leaves it" for path in bad]
        faults += [] if bad else [done.stderr.strip()]
    texts = house.files(*COLUMNS, ".md", ".txt", ".json", ".in")
    for path in texts:
        faults += line_faults(path)
    house.finish(len(texts), faults)


main()

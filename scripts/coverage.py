"""Coverage of some folders of an instrumented build, by line and by branch, from gcov's records.

usage: coverage.py BUILD_FOLDER LEAST_PERCENT FOLDER...

Prints a row for each folder and the files that are least covered; exit code 1 when fewer than
LEAST_PERCENT of all lines were run.
"""

import collections
import glob
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORST = 12  # files that are named


def records(build):
    """What gcov says of each source in each object that was run."""
    data = glob.glob(os.path.join(build, "CMakeFiles", "rml_core.dir", "**", "*.gcda"),
                     recursive=True)
    for i in range(0, len(data), 50):
        done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                               *data[i:i + 50]], capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines():
            if line.startswith("{"):
                yield from json.loads(line)["files"]


def measure(build, folders):
    """file -> line -> [times run, branches, branches taken]; a line in several objects is added."""
    files = collections.defaultdict(lambda: collections.defaultdict(lambda: [0, {}]))
    for record in records(build):
        name = os.path.relpath(os.path.join(build, record["file"]), ROOT)
        if name.split(os.sep)[0] not in folders:
            continue
        for line in record["lines"]:
            entry = files[name][line["line_number"]]
            entry[0] += line["count"]
            for i, branch in enumerate(line["branches"]):
                entry[1][i] = entry[1].get(i, 0) + branch["count"]
    return files


def summary(files):
    """lines, lines run, branches, branches taken"""
    lines = [entry for file in files for entry in file.values()]
    branches = [count for _, taken in lines for count in taken.values()]
    return (len(lines), sum(count > 0 for count, _ in lines),
            len(branches), sum(count > 0 for count in branches))


def share(part, whole):
    return 100.0 * part / whole if whole else 0.0


def row(name, files):
    lines, run, branches, taken = summary(files)
    print(f"{name:<32}{lines:>8} lines {share(run, lines):5.1f} %"
          f"{branches:>8} branches {share(taken, branches):5.1f} %")
    return share(run, lines)


def main():
    build, least, *folders = sys.argv[1:]
    files = measure(os.path.abspath(build), folders)
    for folder in folders:
        row(folder, [lines for name, lines in files.items() if name.startswith(folder + os.sep)])
    reached = row("together", files.values())
    print("least covered:")

    def missed(name):
        lines, run, _, _ = summary([files[name]])
        return run - lines

    for name in sorted(files, key=missed)[:WORST]:
        row("  " + name, [files[name]])
    if reached < float(least):
        print(f"{reached:.1f} % of lines were run, at least {least} % must be")
    return reached < float(least)


if __name__ == "__main__":
    sys.exit(main())

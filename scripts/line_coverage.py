"""Coverage of some folders of an instrumented build, by line and by branch, from gcov's records.

usage: line_coverage.py BUILD_FOLDER LEAST_PERCENT FOLDER...

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


def row(name, files):
    """Prints a row; the share of lines that were run, and how many were not."""
    lines = [entry for file in files for entry in file.values()]
    branches = [count for _, taken in lines for count in taken.values()]
    run = sum(count > 0 for count, _ in lines)
    shares = [100.0 * part / whole if whole else 0.0 for part, whole in (
        (run, len(lines)), (sum(count > 0 for count in branches), len(branches)))]
    print(f"{name:<32}{len(lines):>8} lines {shares[0]:5.1f} %"
          f"{len(branches):>8} branches {shares[1]:5.1f} %")
    return shares[0]


def main():
    build, least, *folders = sys.argv[1:]
    files = measure(os.path.abspath(build), folders)
    for folder in folders:
        row(folder, [lines for name, lines in files.items() if name.startswith(folder + os.sep)])
    reached = row("together", files.values())
    print("least covered:")

    def run(name):
        return -sum(count == 0 for count, _ in files[name].values())

    for name in sorted(files, key=run)[:WORST]:
        row("  " + name, [files[name]])
    if reached < float(least):
        print(f"{reached:.1f} % of lines were run, at least {least} % must be")
    return reached < float(least)


if __name__ == "__main__":
    sys.exit(main())

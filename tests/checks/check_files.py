"""The tree itself: no file too long, no marks left, nothing big by accident."""

import os
import re

import house

MOST_LINES = 800
MOST_BYTES = 300_000
# Shipped weights: large, and together no larger than this.
WEIGHTS, MOST_WEIGHTS_BYTES = "data/weights/", 25_000_000
TEXTS = (".c", ".h", ".inc", ".py", ".sh", ".cmake", ".md", ".txt")
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
NAMES_THE_MARKS = "tests/checks/check_files.py"


def main():
    faults, paths, weights_bytes = [], house.files(), 0
    for path in paths:
        size = os.path.getsize(os.path.join(house.ROOT, path))
        if path.startswith(WEIGHTS):
            weights_bytes += size
        elif size > MOST_BYTES:
            faults.append(f"{path}: {size} bytes, at most {MOST_BYTES}")
        if not path.endswith(TEXTS):
            continue
        text = house.read(path)
        if text.count("\n") > MOST_LINES:
            lines = text.count("\n")
            faults.append(f"{path}: {lines} lines, at most {MOST_LINES}")
        if path != NAMES_THE_MARKS:
            for match in MARKS.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                faults.append(f"{path}:{line}: {match.group(1)}")
    if weights_bytes > MOST_WEIGHTS_BYTES:
        faults.append(f"{WEIGHTS}: {weights_bytes} bytes together, at most {MOST_WEIGHTS_BYTES}")
    house.finish(len(paths), faults)


main()

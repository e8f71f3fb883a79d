"""The tree itself: no file too long, no marks left, nothing big by accident."""

import os
import re

import house

MOST_LINES = 800
# Sources outside tests/ are split by subject before that, but for the one public header.
MOST_CODE_LINES, CODE = 400, (".c", ".h", ".inc")
LONGER = ("include/runmodel.h",)
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
        code = path.endswith(CODE) and not path.startswith("tests/") and path not in LONGER
        most = MOST_CODE_LINES if code else MOST_LINES
        if text.count("\n") > most:
            faults.append(f"{path}: {text.count(chr(10))} lines, at most {most}")
        if path != NAMES_THE_MARKS:
            for match in MARKS.finditer(text):
                line = text.count("\n", 0, match.start()) + 1
                faults.append(f"{path}:{line}: {match.group(1)}")
    if weights_bytes > MOST_WEIGHTS_BYTES:
        faults.append(f"{WEIGHTS}: {weights_bytes} bytes together, at most {MOST_WEIGHTS_BYTES}")
    house.finish(len(paths), faults)


main()

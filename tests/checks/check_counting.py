"""The aggregator of `run.sh test` on JUnit files made here: nothing bad may be counted as good."""

import os
import sys
import tempfile

import house

sys.path.insert(0, os.path.join(house.ROOT, "scripts"))
import results  # noqa: E402  (found through the path set above)

SKIP = '<skipped message="SKIP_RETURN_CODE=77"/>'
# what, exit code, from ctest, content of the file (None: no file), passed, failed, skipped
CASES = [
    ("ctest, all well", 0, True, '<testcase name="a" status="run"/>', 1, 0, 0),
    ("ctest, a skip", 0, True,
     f'<testcase name="a" status="run"/><testcase name="b" status="notrun">{SKIP}</testcase>',
     1, 0, 1),
    ("ctest, a failure", 8, True,
     '<testcase name="a" status="fail"><failure message=""/></testcase>', 0, 1, 0),
    ("ctest, a program that was not built", 8, True,
     '<testcase name="a" status="run"/><testcase name="b" status="notrun">'
     '<skipped message="Unable to find executable"/></testcase>', 1, 1, 0),
    ("ctest, a disabled test", 0, True,
     '<testcase name="a" status="run"/><testcase name="b" status="disabled"/>', 1, 1, 0),
    ("ctest, not run without a word", 0, True, '<testcase name="a" status="notrun"/>', 0, 1, 0),
    ("only skips", 0, True, f'<testcase name="b" status="notrun">{SKIP}</testcase>', 0, 1, 1),
    ("no test", 0, True, "", 0, 1, 0),
    ("no file", 0, True, None, 0, 1, 0),
    ("cut file", 0, True, '<testcase name="a" status="run"', 0, 1, 0),
    ("a case without a name", 0, True, '<testcase status="run"/>', 0, 1, 0),
    ("all well but the exit code", 3, True, '<testcase name="a" status="run"/>', 1, 1, 0),
    ("killed", -1, True, '<testcase name="a" status="run"/>', 1, 1, 0),
    ("pytest, all well", 0, False, '<testcase classname="t" name="a"/>', 1, 0, 0),
    ("pytest, one of each", 1, False,
     '<testcase classname="t" name="a"/><testcase classname="t" name="b"><failure/></testcase>'
     '<testcase classname="t" name="c"><error/></testcase>'
     '<testcase classname="t" name="d"><skipped message="no data"/></testcase>', 1, 2, 1),
]


def main():
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "junit.xml")
        for what, code, from_ctest, content, *expected in CASES:
            if os.path.exists(path):
                os.remove(path)
            if content is not None:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(f"<testsuite>{content}</testsuite>")
            counts = results.judge("step", code, path, from_ctest)
            got = [counts.passed, len(counts.failed), len(counts.skipped)]
            if got != expected:
                faults.append(f"{what}: passed, failed, skipped are {got}, expected {expected}")
    house.finish(len(CASES), faults)


main()

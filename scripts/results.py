"""Counts of tests, read from the JUnit files that ctest and pytest write.

A count that cannot be read, a step that ran no test and a step that failed without naming a test
are failures of their own: the total must not look clean because something was not counted.
"""

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

# What ctest writes for a test that chose to be skipped. Any other test it did not run, for example
# because its program was not built, is a failure.
CTEST_SKIPS = ("SKIP_RETURN_CODE", "SKIP_REGULAR_EXPRESSION")


@dataclass
class Counts:
    passed: int = 0
    failed: list = field(default_factory=list)  # names
    skipped: list = field(default_factory=list)  # names, with the reason when one is given

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def read_junit(path, from_ctest):
    """Counts of one JUnit file. Raises OSError, ElementTree.ParseError or ValueError."""
    counts = Counts()
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name, status, skip = case.get("name"), case.get("status"), case.find("skipped")
        if not name:
            raise ValueError(f"{path}: a test case without a name")
        if not from_ctest and case.get("classname"):
            name = f"{case.get('classname')}::{name}"
        reason = "" if skip is None else skip.get("message") or ""
        skips = skip is not None and reason.startswith(CTEST_SKIPS) and status in ("run", "notrun")
        if case.find("failure") is not None or case.find("error") is not None:
            counts.failed.append(name)
        elif from_ctest and not skips and (skip is not None or status != "run"):
            counts.failed.append(f"{name} ({status} {reason})")
        elif skip is not None:
            counts.skipped.append(name if from_ctest else f"{name}: {reason}")
        else:
            counts.passed += 1
    return counts


def judge(step, exit_code, junit_path, from_ctest):
    """Counts of one finished step: its tests, and what is wrong with the step itself."""
    try:
        counts = read_junit(junit_path, from_ctest)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        return Counts(failed=[f"{step}: no readable count ({error})"])
    if counts.passed + len(counts.failed) == 0:
        counts.failed.append(f"{step}: ran no test")
    if exit_code != 0 and not counts.failed:
        counts.failed.append(f"{step}: ended with code {exit_code}")
    return counts

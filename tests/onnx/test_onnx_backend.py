"""Every backend test of the onnx package: none wrong, and the list of refusals only shrinks."""

import pytest

import onnx_backend as backend
import onnx_operators
from conftest import find_program

PARTS = 16


class Suite:
    """All tests, each run when first asked for."""

    def __init__(self):
        self.cases = backend.load_cases()
        self.results = {}

    def run(self, cases):
        new = [case for case in cases if case.name not in self.results]
        results = backend.run_cases(find_program().resolve(), new)
        self.results.update((result.name, result) for result in results)
        return [self.results[case.name] for case in cases]


@pytest.fixture(scope="module")
def suite(program):
    return Suite()


@pytest.fixture(scope="module")
def listed():
    return backend.read_list()


@pytest.mark.parametrize("part", range(PARTS))
def test_part(part, suite, listed):
    cases = suite.cases[part::PARTS]
    complaints = map(backend.complaint, cases, suite.run(cases), [listed] * len(cases))
    complaints = [text for text in complaints if text]
    assert not complaints, "\n" + "\n".join(complaints)


def test_the_list_names_tests_that_exist(suite, listed):
    assert set(listed) <= {case.name for case in suite.cases}
    assert all(listed.values()), "each refusal has its reason"
    assert list(listed) == sorted(listed)


def test_totals(suite, capsys):
    results = suite.run(suite.cases)
    ours = f"{backend.totals(suite.cases, results)}"
    with capsys.disabled():
        print(f"\nONNX backend tests: {ours}\nONNX Runtime {backend.ONNXRUNTIME}")
    text = " ".join((backend.ROOT / "docs" / "onnx.md").read_text().split())
    assert ours in text and backend.ONNXRUNTIME in text, "docs/onnx.md says something else"


def test_check_finds_no_fault(program, suite, tmp_path):
    """In every eighth; onnx.checker has a fault of test_mvn, whose function it expands wrongly."""
    path = tmp_path / "net.onnx"
    for case in suite.cases[::8]:
        path.write_bytes(case.model.SerializeToString())
        told = program.run("check", path, "--quiet", code=None)
        assert told.returncode == 0, (case.name, told.stdout)


def test_operators_of_other_domains():
    listed = onnx_operators.listed()
    text = (backend.ROOT / "docs" / "onnx.md").read_text()
    assert listed in text, f"docs/onnx.md has not:\n{listed}"

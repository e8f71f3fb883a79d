"""Every backend test in scope with its inputs in the file, all of them and all but one: none is
refused or wrong."""

import pytest

import onnx_backend as backend
import onnx_constants as constants
from conftest import find_program

PARTS = 16


@pytest.fixture(scope="module")
def cases(program):
    return backend.load_cases()


@pytest.mark.parametrize("part", range(PARTS))
def test_part(part, cases):
    some = constants.all_variants(cases[part::PARTS])
    results = backend.run_cases(find_program().resolve(), some)
    complaints = [f"{r.name}: {r.status} {r.message}" for r in results if r.status != "passed"]
    assert len(some) > len(cases) // PARTS
    assert not complaints, "\n" + "\n".join(complaints)

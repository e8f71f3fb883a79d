"""Every operation of ML Programs alone, against NumPy and PyTorch."""

import pytest

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from mil_shape_cases import CASES  # noqa: E402


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_operation(program, tmp_path, case):
    path, outputs = coreml_run.program_file(tmp_path, case.build, case.inputs, case.opset)
    inputs = {f"in{i}": a for i, a in enumerate(case.inputs)}
    coreml_run.check(case, coreml_run.run(program, path, inputs, outputs, tmp_path))

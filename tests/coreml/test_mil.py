"""Every operation of ML Programs alone, against NumPy and PyTorch: as coremltools writes it, and
as it is written again from what was read."""

import pytest

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from mil_edge_cases import CASES as EDGES  # noqa: E402
from mil_more_cases import CASES  # noqa: E402

# What is written by other rules than the operations of CASES.
CASES += [c for c in EDGES if c.name.startswith((
    "gru_reverse_T", "lstm_reverse_T", "resample_reflection_False_normalized_m", "rnn_reverse_T",
    "resample_symmetric_True_normalized_m", "resample_symmetric_False_normalized_m",
    "scatter_div_i", "scatter_nd_div_i"))]

# What no program holds of the operators that these become, and why.
REFUSED = {
    "resize_OFFSET_CORNERS": "resizes a part",
    "resize_volume_UNALIGN_CORNERS": "more than the last two dimensions",
    "resize_volume_STRICT_ALIGN_CORNERS": "more than the last two dimensions",
    "resize_volume_nearest": "more than the last two dimensions",
    "s2b": "more than 5 dimensions",
    "s2b_tf": "more than 5 dimensions",
}


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_operation(program, tmp_path, case):
    path, outputs = coreml_run.program_file(tmp_path, case.build, case.inputs, case.opset)
    inputs = {f"in{i}": a for i, a in enumerate(case.inputs)}
    coreml_run.check(case, coreml_run.run(program, path, inputs, outputs, tmp_path))
    again = tmp_path / "again.mlpackage"
    if case.name in REFUSED:
        assert REFUSED[case.name] in coreml_run.write(program, path, again, "ios=18", code=1)
        assert not again.exists()
        return
    coreml_run.write(program, path, again, "ios=18")
    coreml_run.load_program(again)
    coreml_run.check(case, coreml_run.run(program, again, inputs, outputs, tmp_path))

"""Branches and loops that are written: loaded by others, and run by run-model."""

import numpy as np
import onnx
import pytest
from control_cases import CASES, inputs_of
from onnx_written import error, run_onnxruntime, run_program, write

TOLERANCE = 5e-6  # of the largest value


def load(path):
    import sys
    from pathlib import Path

    pytest.importorskip("coremltools")
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "coreml"))
    import coreml_run

    return coreml_run.load_program(path) if path.suffix == ".mlpackage" else (
        coreml_run.ct.utils.load_spec(str(path)))  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel", "onnx"])
def test_graphs_inside(program, tmp_path, kind, case):
    source, out, back = tmp_path / "in.onnx", tmp_path / f"out.{kind}", tmp_path / "back.onnx"
    onnx.save(CASES[case], source)
    write(program, source, out)
    if kind != "onnx":
        load(out)
    write(program, out, back)
    onnx.checker.check_model(onnx.load(back))
    names = [o.name for o in CASES[case].graph.output]
    for inputs in inputs_of(case):
        want = run_onnxruntime(source, inputs, names)
        got = run_program(program, [out], inputs, names, tmp_path)
        got = [g.reshape(w.shape).astype(w.dtype) for g, w in zip(got, want, strict=True)]
        assert error(want, got) < TOLERANCE
        again = run_onnxruntime(back, inputs, names)
        again = [np.reshape(a, w.shape).astype(w.dtype) for a, w in zip(again, want, strict=True)]
        assert error(want, again) < TOLERANCE

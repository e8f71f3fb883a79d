"""Branches and loops that are written: loaded by others, and run by run-model."""

import numpy as np
import onnx
import pytest
from control_cases import CASES, inputs_of, loop_without_end
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


@pytest.mark.parametrize("case", ["if_of_views", "loop_that_swaps"])
def test_blocks_give_what_they_compute(program, tmp_path, case):
    """Not a value of the block around, or their input, under the name that it has there."""
    source, out = tmp_path / "in.onnx", tmp_path / "out.mlpackage"
    onnx.save(CASES[case], source)
    write(program, source, out)
    (function,) = load(out).mlProgram.functions.values()
    (main,) = function.block_specializations.values()
    blocks = [block for op in main.operations for block in op.blocks]
    assert len(blocks) == 2
    for block in blocks:
        assert set(block.outputs) <= {o.name for op in block.operations for o in op.outputs}


def operations(program, path):
    """What `info` counts, also in the graphs inside."""
    return {line.split()[1] for line in program.run("info", path).stdout.splitlines()
            if line.startswith(" ")}  # fmt: skip


@pytest.mark.parametrize("case", ["loop_of_turns", "loop_that_stacks", "loop_of_branches"])
@pytest.mark.parametrize("condition", ["passed on", "true"])
def test_what_never_ends_a_loop_is_not_asked(program, tmp_path, case, condition):
    """So many turns are so many: no condition, and no rows to be picked from what they stack."""
    source, out = tmp_path / "in.onnx", tmp_path / "out.mlpackage"
    made = onnx.ModelProto.FromString(CASES[case].SerializeToString())
    (body,) = [a.g for n in made.graph.node for a in n.attribute if n.op_type == "Loop"]
    for n in body.node:
        if n.output[0] == "again" and condition == "passed on":
            n.CopyFrom(onnx.helper.make_node("Identity", [body.input[1].name], ["again"]))
        elif n.output[0] == "again":
            n.CopyFrom(onnx.helper.make_node("Constant", [], ["again"],
                                             value=onnx.numpy_helper.from_array(np.array(True))))
    onnx.save(made, source)
    write(program, source, out)
    got = operations(program, out)
    assert "while_loop" in got and not got & {"logical_and", "gather"}


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
def test_loops_that_nothing_ends_are_refused(program, tmp_path, kind):
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    onnx.save(loop_without_end(), source)
    assert '"turns" (loop): nothing ends it' in write(program, source, out, code=1)
    assert not out.exists()

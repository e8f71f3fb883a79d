"""Branches that sizes decide, as TorchScript writes a squeeze; edges of signals."""

import numpy as np
import onnx
import pytest
from control_cases import branch, constant, value
from onnx_written import error, run_onnxruntime, run_program, write

node = onnx.helper.make_node
FRONT = ("front", np.array([0], np.int64))


def model(nodes, inputs, outputs, weights):
    """Without the checker, which wants the number of dimensions of outputs."""
    graph = onnx.helper.make_graph(nodes, "g", inputs, outputs,
                                   [onnx.numpy_helper.from_array(a, n) for n, a in weights])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)],
                                  ir_version=8)


def squeezed(x, out):
    """x without its first dimension, where that is 1: two graphs of other numbers of dimensions."""
    return [node("Shape", [x], [f"{x}_sizes"]), constant(f"{x}_place", np.int64(0)),
            node("Gather", [f"{x}_sizes", f"{x}_place"], [f"{x}_first"]),
            constant(f"{x}_one", np.int64(1)),
            node("Equal", [f"{x}_first", f"{x}_one"], [f"{x}_test"]),
            node("If", [f"{x}_test"], [out],
                 then_branch=branch("then", [node("Squeeze", [x, "front"], [f"{x}_s"])],
                                    [value(f"{x}_s", None)]),
                 else_branch=branch("else", [node("Identity", [x], [f"{x}_i"])],
                                    [value(f"{x}_i", None)]))]  # fmt: skip


def nested():
    """A branch of a branch, whose condition is known when the first one is."""
    then = branch("outer", [*squeezed("a", "b"), node("Neg", ["b"], ["c"])], [value("c", None)])
    other = branch("other", [node("Abs", ["a"], ["d"])], [value("d", None)])
    return [*squeezed("x", "a"), node("Size", ["a"], ["count"]),
            constant("few", np.int64(100)), node("Less", ["count", "few"], ["small"]),
            node("If", ["small"], ["e"], then_branch=then, else_branch=other),
            node("Relu", ["e"], ["y"])]  # fmt: skip


CASES = {"one": [*squeezed("x", "a"), node("Sin", ["a"], ["y"])], "nested": nested()}


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel", "onnx"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 1, 3)])
def test_branches_that_sizes_decide(program, tmp_path, kind, case, shape):
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    onnx.save(model(CASES[case], [value("x", ["n", "m", 3])], [value("y", None)], [FRONT]), source)
    done = program.run("convert", source, "-o", out, "--shape", f"x={'x'.join(map(str, shape))}")
    assert "only a run tells" not in done.stderr
    text = program.run("info", out).stdout
    assert " If\n" not in text and " cond\n" not in text and " branch\n" not in text
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    want = run_onnxruntime(source, {"x": x}, ["y"])
    (got,) = run_program(program, [out], {"x": x}, ["y"], tmp_path)
    assert got.shape == want[0].shape and error(want, [got]) < 1e-6


def test_what_only_a_run_decides_stays(program, tmp_path):
    source, out = tmp_path / "in.onnx", tmp_path / "out.onnx"
    onnx.save(model(CASES["one"], [value("x", ["n", "m", 3])], [value("y", None)], [FRONT]), source)
    write(program, source, out)
    assert "If" in [n.op_type for n in onnx.load(out).graph.node]
    for shape in ((1, 2, 3), (2, 2, 3)):
        x = {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
        assert error(run_onnxruntime(source, x, ["y"]), run_onnxruntime(out, x, ["y"])) < 1e-6


@pytest.mark.parametrize("mode", ["reflect", "edge"])
@pytest.mark.parametrize("shape, pads", [((6,), [2, 3]), ((2, 6), [0, 2, 0, 3]),
                                         ((3, 6), [1, 2, 1, 0])])
def test_edges_of_signals(program, tmp_path, mode, shape, pads):
    """As in front of a spectrum: neural networks pad images."""
    source, out = tmp_path / "in.onnx", tmp_path / "out.mlmodel"
    sizes = [n + a + b for n, a, b in zip(shape, pads, pads[len(shape):])]
    onnx.save(model([node("Pad", ["x", "pads"], ["y"], mode=mode)], [value("x", shape)],
                    [value("y", sizes)], [("pads", np.array(pads))]), source)  # fmt: skip
    write(program, source, out)
    x = {"x": np.arange(np.prod(shape), dtype=np.float32).reshape(shape)}
    np.testing.assert_array_equal(run_program(program, [out], x, ["y"], tmp_path)[0],
                                  run_onnxruntime(source, x, ["y"])[0])

"""Files whose nodes are not in an order in which they can run."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_run

X = np.array([[1.5, -2.0, 0.25]], np.float32)


def chain(length):
    """Each node reads two of those before; branches read what stands around."""
    rng = np.random.default_rng(length)
    nodes, names = [], ["x"]
    for i in range(length):
        a, b = (names[int(k)] for k in rng.integers(max(0, len(names) - 4), len(names), 2))
        if i % 5 == 4:
            inner = helper.make_graph([helper.make_node("Mul", [a, b], [f"in{i}"])], "then", [],
                                      [helper.make_tensor_value_info(f"in{i}", 1, None)])
            other = helper.make_graph([helper.make_node("Neg", [b], [f"out{i}"])], "else", [],
                                      [helper.make_tensor_value_info(f"out{i}", 1, None)])
            node = helper.make_node("If", ["c"], [f"v{i}"], then_branch=inner, else_branch=other)
        else:
            node = helper.make_node(("Add", "Sub", "Max", "Min")[i % 4], [a, b], [f"v{i}"])
        nodes.append(node)
        names.append(f"v{i}")
    return nodes, names


def model(nodes, names, condition):
    made = onnx_run.model(nodes, {"x": X, "c": condition},
                          {name: TensorProto.FLOAT for name in names[-6:]})
    return made


@pytest.mark.parametrize("length", [6, 60])
@pytest.mark.parametrize("condition", [True, False])
def test_any_order(program, tmp_path, length, condition):
    nodes, names = chain(length)
    inputs = {"x": X, "c": np.array(condition)}
    want = onnx_run.run_onnxruntime(model(nodes, names, inputs["c"]), inputs)
    rng = np.random.default_rng(1)
    for order in (np.arange(length)[::-1], rng.permutation(length), rng.permutation(length)):
        made = model([nodes[i] for i in order], names, inputs["c"])
        got = onnx_run.run(program, tmp_path, made, inputs)
        for ours, theirs in zip(got, want):
            np.testing.assert_array_equal(ours, theirs)


def test_functions_in_any_order(program, tmp_path):
    body = [helper.make_node("Neg", ["t"], ["b"]), helper.make_node("Abs", ["a"], ["t"])]
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("mine", 1)]
    nodes = [helper.make_node("F", ["h"], ["y"], domain="mine"),
             helper.make_node("Neg", ["x"], ["h"])]
    made = onnx_run.model(nodes, {"x": X}, {"y": TensorProto.FLOAT})
    made.opset_import.append(opsets[1])
    made.functions.append(helper.make_function("mine", "F", ["a"], ["b"], body, opsets))
    (y,) = onnx_run.run(program, tmp_path, made, {"x": X})
    np.testing.assert_array_equal(y, -np.abs(X))


def test_info_tells_the_same(program, tmp_path):
    nodes, names = chain(12)
    texts = []
    for order in (nodes, nodes[::-1]):
        onnx.save(model(order, names, np.array(True)), tmp_path / "m.onnx")
        texts.append(program.run("info", tmp_path / "m.onnx").stdout)
    assert texts[0] == texts[1]

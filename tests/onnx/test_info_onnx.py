"""run-model info of ONNX files: what goes in and out, operators, initializers."""

from collections import Counter

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from conftest import json_lines


def port(name, element, shape):
    return helper.make_tensor_value_info(name, element, shape)


def small_model():
    """An If, a function of its own, and an initializer."""
    branch = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["out"])], "b", [], [port("out", TensorProto.FLOAT, None)]
    )
    body = [helper.make_node("Neg", ["a"], ["h"]), helper.make_node("Abs", ["h"], ["b"])]
    nodes = [
        helper.make_node("If", ["c"], ["h"], then_branch=branch, else_branch=branch),
        helper.make_node("Mine", ["h"], ["m"], domain="my"),
        helper.make_node("Add", ["m", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [port("x", TensorProto.FLOAT, ["n", None, 3]), port("c", TensorProto.BOOL, [])],
        [port("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((2, 3), np.float32), "w")],
    )
    return helper.make_model(
        graph,
        producer_name="a test",
        producer_version="1.2",
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("my", 1)],
        functions=[
            helper.make_function("my", "Mine", ["a"], ["b"], body, [helper.make_opsetid("", 18)])
        ],
    )


def test_text(program, tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(small_model(), path)
    assert program.run("info", path).stdout.splitlines() == [
        "input  f32   x (n,?,3)",
        "input  bool  c ()",
        "output f32   y",
        "     3 Neg",
        "     1 Abs",
        "     1 Add",
        "     1 If",
        "     1 my.Mine",
        f"{path}: onnx, IR version 8, operator set 18, operator set my 1, by a test 1.2",
        "7 nodes, 1 functions; 1 initializers, 6 numbers, 0.0 MB",
        "runs, partly planned on the way: sizes inside depend on what it computes",
    ]


def test_json(program, tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(small_model(), path)
    [got] = json_lines(program.run("info", path, "--json").stdout)
    assert got["opsets"] == [{"domain": "", "version": 18}, {"domain": "my", "version": 1}]
    assert got["inputs"] == [
        {"name": "x", "dtype": "f32", "shape": [None, None, 3], "names": ["n", None, None]},
        {"name": "c", "dtype": "bool", "shape": [], "names": []},
    ]
    assert got["outputs"] == [{"name": "y", "dtype": "f32", "shape": None}]
    assert got["operators"][0] == {"domain": "", "name": "Neg", "count": 3}
    counts = {key: got[key] for key in ("nodes", "functions", "initializers", "numbers", "bytes")}
    assert counts == {"nodes": 7, "functions": 1, "initializers": 1, "numbers": 6, "bytes": 24}


def test_real_models(program, shared_data):
    """Operators of the main graph, for the files that have no other."""
    checked = 0
    for path in sorted((shared_data / "onnx").glob("*.onnx")):
        model = onnx.load(path)
        if any(a.HasField("g") for n in model.graph.node for a in n.attribute):
            continue
        [got] = json_lines(program.run("info", path, "--json").stdout)
        want = Counter(n.op_type for n in model.graph.node)
        assert {o["name"]: o["count"] for o in got["operators"]} == want
        assert got["numbers"] == sum(int(np.prod(t.dims)) for t in model.graph.initializer)
        checked += 1
    assert checked >= 4


def test_damaged(program, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(small_model().SerializeToString()[:-4])
    done = program.run("info", path, code=1)
    assert not done.stdout and f"{path}: cut short" in done.stderr

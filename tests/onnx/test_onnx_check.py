"""run-model check of ONNX files, beside onnx.checker: faults are faults, and what is valid and
cannot be run here is a note."""

import re

import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference

import conftest
import onnx_signatures

F32, F16, I8, I64 = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.INT64)


def test_table_is_that_of_onnx():
    """Rows of the table are made from onnx.defs by the same version that tests use."""
    text = (conftest.ROOT / "loaders" / "check" / "onnx_signatures.inc").read_text()
    ours = []
    for row in re.findall(r"^ROW\((.*?)\)$", text, re.S | re.M):
        name, *parts = re.findall(r'"([^"]*)"', row)
        ours.append((name, "".join(parts)))
    assert ours == list(onnx_signatures.rows())


def make(nodes, inputs=(("x", F32, (1, 3, 8, 8)),), outputs=(("y", F32, "abcd"),), opset=17,
         functions=(), constants=(), domains=()):
    def port(name, kind, shape):
        return helper.make_tensor_value_info(name, kind, list(shape))

    graph = helper.make_graph(nodes, "net", [port(*i) for i in inputs], [port(*o) for o in outputs],
                              [numpy_helper.from_array(a, n) for n, a in constants])
    imports = [helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains]
    return helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=8)


node = helper.make_node
WEIGHT = ("w", np.zeros((4, 3, 3, 3), np.float32))


def loop(inputs=3, op="Relu"):
    names = [("i", I64, ()), ("c", TensorProto.BOOL, ()), ("v", F32, (2,)), ("z", F32, (2,))]
    ports = [helper.make_tensor_value_info(*p) for p in names[:inputs]]
    body = helper.make_graph([node("Identity", ["c"], ["d"]), node(op, ["v"], ["u"])], "body",
                             ports, [helper.make_tensor_value_info("d", TensorProto.BOOL, ()),
                              helper.make_tensor_value_info("u", F32, (2,))])
    return make([node("Loop", ["n", "", "x"], ["y"], body=body)],
                [("n", I64, ()), ("x", F32, (2,))], [("y", F32, (2,))])


def function(op):
    made = helper.make_function("local", "Double", ["a"], ["b"], [node(op, ["a", "a"], ["b"])],
                                [helper.make_opsetid("", 17)])
    return make([node("Double", ["x"], ["y"], domain="local")], functions=[made], domains=["local"])


def without(model, what):
    if what == "name":
        model.graph.name = ""
    elif what == "type":
        model.graph.input[0].ClearField("type")
    elif what == "shape":
        model.graph.output[0].type.tensor_type.ClearField("shape")
    elif what == "operator set":
        del model.opset_import[:]
    else:
        model.ClearField("ir_version")
    return model


RELU = [node("Relu", ["x"], ["y"])]
TWO = [("x", F32, (2, 3)), ("z", F32, (2, 3))]
FAULTS = {
    "too few inputs": (make([node("Add", ["x"], ["y"])]), "1 inputs, and operator set 17 has 2"),
    "too many inputs": (make([node("Relu", ["x", "x"], ["y"])]), "has 1"),
    "an input is left out": (make([node("Add", ["", "x"], ["y"])]), "input 0 is left out"),
    "one of many is left out": (make([node("Concat", ["", "x"], ["y"], axis=0)]), "is left out"),
    "too many outputs": (make([node("Relu", ["x"], ["y", "z"])]), "2 outputs"),
    "no operator": (make([node("Rellu", ["x"], ["y"])]), "ONNX has no such operator"),
    "a later operator": (make([node("Gelu", ["x"], ["y"])]), "from operator set 20 on, not in 17"),
    "an operator that is gone": (make([node("Upsample", ["x", "s"], ["y"])],
                                      constants=[("s", np.ones(4, np.float32))]), "gone from"),
    "a needed attribute": (make([node("Concat", ["x", "x"], ["y"])]), '"axis" is missing'),
    "an attribute of another": (make([node("Relu", ["x"], ["y"], axis=1)]), 'no attribute "axis"'),
    "an attribute of an older set": (make([node("Unsqueeze", ["x", "a"], ["y"], axes=[0])],
                                          constants=[("a", np.array([0]))]), 'no attribute "axes"'),
    "an attribute's kind": (make([node("Conv", ["x", "w"], ["y"], group=1.0)], constants=[WEIGHT]),
                            "is a number, and has to be an integer"),
    "a list for one": (make([node("Conv", ["x", "w"], ["y"], group=[1])], constants=[WEIGHT]),
                       "is integers, and has to be an integer"),
    "a type": (make([node("Relu", ["x"], ["y"])], [("x", I8, (2,))], [("y", I8, (2,))], 13),
               "input 0 is i8; operator set 13 takes"),
    "two types": (make([node("Add", ["x", "z"], ["y"])], [("x", F32, (2,)), ("z", F16, (2,))],
                       [("y", F32, (2,))]), "input 1 is f16, and input 0 is f32"),
    "indices of floats": (make([node("Gather", ["x", "z"], ["y"])], TWO), "input 1 is f32"),
    "shapes": (make([node("Add", ["x", "z"], ["y"])], [("x", F32, (2, 3)), ("z", F32, (2, 4))],
                    [("y", F32, (2, 3))]), "cannot be broadcast"),
    "products": (make([node("MatMul", ["x", "z"], ["y"])], TWO), "do not fit"),
    "queries of two dimensions": (make([node("Attention", ["x", "x", "x"], ["y"])],
                                       [("x", F32, (2, 3))], opset=23), "queries of 2 dimensions"),
    "declared type": (make(RELU, outputs=[("y", I64, (1, 3, 8, 8))]),
                      "declared as i64, and is f32"),
    "declared shape": (make(RELU, outputs=[("y", F32, (1, 3, 8, 9))]), "declared as (1,3,8,9)"),
    "declared rank": (make(RELU, outputs=[("y", F32, (1, 3))]), "declared as (1,3)"),
    "a constant of nothing": (make([node("Constant", [], ["z"]), node("Add", ["x", "z"], ["y"])]),
                              "0 attributes say it"),
    "a body's node": (loop(op="Rellu"), "no such operator"),
    "a body's inputs": (loop(inputs=4), "has 4 inputs, and its node gives it 3"),
    "a function's node": (function("Relu"), "2 inputs"),
    "no operator set": (without(make(RELU), "operator set"), "which operator set"),
    "no version": (without(make(RELU), "version"), "IR version"),
    "a graph without name": (without(make(RELU), "name"), "no name"),
    "an input without type": (without(make(RELU), "type"), "does not tell its type"),
    "an output without shape": (without(make(RELU), "shape"), "does not tell its shape"),
}

OURS = {  # which onnx.checker passes over
    "channels": (make([node("Conv", ["x", "w"], ["y"])],
                      constants=[("w", np.zeros((4, 5, 3, 3), np.float32))]), "does not fit"),
}


def verdict(path):
    """Whether onnx.checker finds a fault."""
    try:
        checker.check_model(str(path), full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError):
        return 1
    return 0


@pytest.mark.parametrize("name", [*FAULTS, *OURS])
def test_fault(program, tmp_path, name):
    model, sentence = (FAULTS | OURS)[name]
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    assert verdict(path) == (name in FAULTS)
    told = program.run("check", path, code=1).stdout
    assert any(line.startswith("fault: ") and sentence in line for line in told.split("\n")), told


def test_all_faults_are_told(program, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(make([node("Rellu", ["x"], ["a"], name="one"),
                           node("Add", ["a"], ["b"], name="two"),
                           node("Concat", ["b"], ["y"], name="three")]).SerializeToString())
    told = program.run("check", path, "--quiet", code=1).stdout.strip().split("\n")
    assert [line.split('"')[1] for line in told] == ["one", "two", "three"]


NOTES = {
    "another domain": make([node("Own", ["x"], ["y"], domain="own")], domains=["own"]),
    "no operator here": make([node("RandomUniformLike", ["x"], ["y"])],
                             outputs=[("y", F32, (1, 3, 8, 8))]),
    "strings": make([node("Identity", ["x"], ["y"])], [("x", TensorProto.STRING, (2,))],
                    [("y", TensorProto.STRING, (2,))]),
    "a tool's own attribute": make([node("Relu", ["x"], ["y"], __note="seen")],
                                   outputs=[("y", F32, (1, 3, 8, 8))]),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_cannot_be_run_is_a_note(program, tmp_path, name):
    path = tmp_path / "net.onnx"
    path.write_bytes(NOTES[name].SerializeToString())
    assert verdict(path) == 0
    told = program.run("check", path).stdout
    assert "fault: " not in told and "0 faults" in told
    assert ("cannot be run" in told or "not supported" in told) == (not name.startswith("a tool"))

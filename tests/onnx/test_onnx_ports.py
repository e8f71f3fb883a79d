"""Inputs and outputs of ONNX files: many, one that is both, none, and what bench puts in."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_run

F32, I64 = TensorProto.FLOAT, TensorProto.INT64


def ports(names, element=F32, shape=(2,)):
    return [helper.make_tensor_value_info(name, element, shape) for name in names]


def model(nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, "test", inputs, outputs, constants)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10
    )


def test_cache_of_a_language_model(program, tmp_path):
    """32 layers of keys and values, and the tokens: 65 in and 65 out."""
    names = [f"{kind}.{i}" for kind in ("key", "value") for i in range(32)] + ["tokens"]
    nodes = [helper.make_node("Neg", [name], [f"new.{name}"]) for name in names]
    made = model(nodes, ports(names), ports(f"new.{name}" for name in names))
    inputs = {name: np.float32([i, -i]) for i, name in enumerate(names)}
    got = onnx_run.run(program, tmp_path, made, inputs)
    for i, y in enumerate(got):
        np.testing.assert_array_equal(y, [-i, i])


@pytest.mark.parametrize("as_first", [True, False])
def test_output_that_is_an_input(program, tmp_path, as_first):
    outputs = ports(["x", "y"] if as_first else ["y", "x"])
    made = model([helper.make_node("Relu", ["x"], ["y"])], ports(["x"]), outputs)
    x = np.float32([-1, 2])
    got = onnx_run.run(program, tmp_path, made, {"x": x})
    for ours, want in zip(got, onnx_run.run_onnxruntime(made, {"x": x}), strict=True):
        np.testing.assert_array_equal(ours, want)
    told = json.loads(program.run("info", tmp_path / "model.onnx", "--json").stdout)
    assert {"x", "y"} <= set(json.dumps(told).replace('"', " ").split())


def test_outputs_that_no_node_makes(program, tmp_path):
    """An input, a tensor of the file, and no node at all."""
    w = numpy_helper.from_array(np.float32([5, 6]), "w")
    made = model([], ports(["x"]), ports(["x", "w"]), [w])
    got = onnx_run.run(program, tmp_path, made, {"x": np.float32([1, 2])})
    np.testing.assert_array_equal(got, [[1, 2], [5, 6]])


def test_graph_without_inputs(program, tmp_path):
    w = numpy_helper.from_array(np.float32([-5, 6]), "w")
    made = model([helper.make_node("Relu", ["w"], ["y"])], [], ports(["y"]), [w])
    np.testing.assert_array_equal(onnx_run.run(program, tmp_path, made, {}), [[0, 6]])
    program.run("bench", tmp_path / "model.onnx", "--runs", 1, "--seconds", 0)


# ---- bench --input -------------------------------------------------------------------------------


@pytest.fixture
def sized(tmp_path):
    """A product of `n` less 2 rows; 0, which bench puts there of itself, is refused."""
    nodes = [
        helper.make_node("Sub", ["n", "two"], ["more"]),
        helper.make_node("Concat", ["two", "more"], ["parts"], axis=0),
        helper.make_node("Split", ["x", "parts"], ["a", "b"], axis=0),
        helper.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    constants = [numpy_helper.from_array(np.array([2]), "two"),
                 numpy_helper.from_array(np.ones((4, 4), np.float32), "w")]  # fmt: skip
    inputs = ports(["x"], F32, ["rows", 4]) + ports(["n"], I64, [1])
    path = tmp_path / "sized.onnx"
    onnx.save(model(nodes, inputs, ports(["y"], F32, ["rest", 4]), constants), path)
    return path


def test_bench_of_values(program, tmp_path, sized):
    np.save(tmp_path / "n.npy", np.array([6], np.int32))
    np.save(tmp_path / "x.npy", np.ones((6, 4)))
    arguments = ["bench", sized, "--runs", 1, "--seconds", 0, "--json"]
    program.run(*arguments, "--shape", "x=6x4", code=1)
    for n in (6, "6e0", tmp_path / "n.npy"):
        program.run(*arguments, "--shape", "x=6x4", "--input", f"n={n}")
        line = program.run(*arguments, "-i", f"x={tmp_path / 'x.npy'}", "-i", f"n={n}").stdout
        assert json.loads(line)["batch"] == 6
    np.save(tmp_path / "n.npy", np.array(6))  # exec takes it without its dimension of size 1, too
    program.run(*arguments, "--shape", "x=6x4", "--input", f"n={tmp_path / 'n.npy'}")


REFUSED = {
    "no such input": (["--input", "m=1"], "has no input of this name"),
    "a fraction": (["--input", "n=1.5"], "--input n=1.5: i64 cannot be that"),
    "too large": (["--input", "n=1e30"], "i64 cannot be that"),
    "no number": (["--input", "n=nan"], "i64 cannot be that"),
    "no file": (["--input", "n=none.npy"], "none.npy"),
    "two shapes": (["--input", "x=x.npy", "--shape", "x=6x4"], "x.npy has a shape of its own"),
    "two batches": (["--input", "x=x.npy", "--batch", 3], "x.npy holds another number of items"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bench_refuses(program, tmp_path, sized, case):
    options, sentence = REFUSED[case]
    np.save(tmp_path / "x.npy", np.ones((6, 4), np.float32))
    arguments = ["bench", sized, "--runs", 1, "--seconds", 0, *options]
    assert sentence in program.run(*arguments, code=1, cwd=tmp_path).stderr

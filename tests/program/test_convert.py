"""run-model convert: what it writes, and that nothing is left of what it refuses."""

import json
import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import load_file

from reference import checkpoints, exports, lstm


@pytest.fixture(scope="module")
def lstm_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("convert") / "lstm.pth"
    return checkpoints.save_zip(checkpoints.state_of(exports.example("lstm").model), path)


def sentence(done, code):
    assert done.returncode == code and done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if not line.startswith("lstm weights")]
    assert len(lines) == 1 and lines[0].startswith("run-model convert: "), done.stderr
    return lines[0]


def test_weights_alone(program, lstm_file, tmp_path):
    out = tmp_path / "out.safetensors"
    state = checkpoints.state_of(exports.example("lstm").model)
    done = program.run("convert", "lstm", "--weights", lstm_file, "-o", out)
    assert done.stdout.startswith(f"wrote {out}: {len(state)} tensors, ")
    assert done.stdout.endswith("; largest error 0.0e+00 of the largest value against lstm.pth\n")
    first = out.read_bytes()
    told = json.loads(
        program.run("convert", "lstm", "--weights", out, "-o", out, "--json").stdout
    )
    assert told["error"] == 0 and told["bytes"] == len(first) and told["where"] == "my_output"
    assert out.read_bytes() == first  # from its own words the same file
    written = load_file(out)
    assert sorted(written) == sorted(state)
    assert all(np.array_equal(written[name], state[name].numpy()) for name in state)
    half = program.run("convert", "lstm", "--weights", out, "-o", out, "--fp16", "--json")
    assert 0 < json.loads(half.stdout)["error"] < 2e-2
    assert [p.name for p in tmp_path.iterdir()] == ["out.safetensors"]


def graph(path, nodes, inputs, weights=()):
    info = onnx.helper.make_tensor_value_info
    made = onnx.helper.make_graph(nodes, "g", [info(n, 1, shape) for n, shape in inputs.items()],
                                  [info("out", 1, None)], list(weights))  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(made, opset_imports=opset, ir_version=8), path)


def test_sizes_of_one_name_are_one(program, tmp_path):
    source, out = tmp_path / "net.onnx", tmp_path / "out.onnx"
    node = onnx.helper.make_node("MatMul", ["a", "b"], ["out"])
    graph(source, [node], {"a": [3, "n"], "b": ["n", 2]})
    program.run("convert", source, "-o", out)
    np.save(tmp_path / "b.npy", np.ones((5, 2), np.float32))
    program.run("convert", source, "-o", out, "--check-input", f"b={tmp_path / 'b.npy'}")


def test_what_made_up_sizes_do_not_fit(program, tmp_path):
    source, x = tmp_path / "net.onnx", tmp_path / "x.npy"
    window = onnx.numpy_helper.from_array(np.ones((1, 1, 100), np.float32), "w")
    node = onnx.helper.make_node("Conv", ["x", "w"], ["out"])
    graph(source, [node], {"x": [1, 1, "t"]}, [window])
    arguments = ["convert", source, "-o", tmp_path / "out.onnx"]
    told = sentence(program.run(*arguments, code=1), 1)
    assert told.endswith("; inputs of other sizes can be given: --check_input")
    np.save(x, np.ones((1, 1, 120), np.float32))
    program.run(*arguments, "--check-input", f"x={x}")


def test_outputs_of_no_known_shape_are_told(program, tmp_path):
    source = tmp_path / "net.onnx"
    kept = onnx.helper.make_node("Identity", ["x"], ["same"])
    flat = onnx.helper.make_node("Squeeze", ["x"], ["less"])
    info = [onnx.helper.make_tensor_value_info(n, 1, None) for n in ("same", "less")]
    branches = [onnx.helper.make_graph([n], "b", [], [i]) for n, i in zip((kept, flat), info)]
    many = onnx.helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0)
    zero = onnx.numpy_helper.from_array(np.float32(2), "zero")
    which = onnx.helper.make_node("Greater", ["most", "zero"], ["which"])
    choice = onnx.helper.make_node("If", ["which"], ["out"], then_branch=branches[0],
                                   else_branch=branches[1])  # fmt: skip
    graph(source, [many, which, choice], {"x": [1, 3]}, [zero])
    done = program.run("convert", source, "-o", tmp_path / "out.onnx")
    assert "note: how many dimensions the output out has only a run tells" in done.stderr


WRONG = [
    (2, "no network is named", []),
    (2, "there is no network 'nothing'", ["nothing"]),
    (2, "no --outfile", ["lstm"]),
    (2, "what can be written ends in", ["lstm", "-o", "net.pth"]),
    (2, "--config is not used by net.onnx", ["net.onnx", "--config", "c", "-o", "n.onnx"]),
    (2, "--function is not used by lstm", ["lstm", "--function", "f", "-o", "n.onnx"]),
    (2, "ios12 to ios18, not 'ios11'", ["lstm", "-o", "n.mlmodel", "--target", "ios11"]),
    (2, "which needs ios15", ["lstm", "-o", "n.mlpackage", "--target", "ios13"]),
    (2, "--target is for Core ML files", ["lstm", "-o", "n.onnx", "--target", "ios15"]),
    (2, "--author is for ONNX and Core ML", ["lstm", "-o", "n.safetensors", "--author", "me"]),
    (2, "--opset is for ONNX files", ["lstm", "-o", "n.mlmodel", "--opset", "17"]),
    (2, "--opset must be from 13 to 21", ["lstm", "-o", "n.onnx", "--opset", "12"]),
    (2, "one or the other", ["lstm", "-o", "n.mlmodel", "--fp16", "--palettize", "4"]),
    (2, "--quantize is int8", ["lstm", "-o", "n.mlmodel", "--quantize", "int4"]),
    (2, "--palettize must be from 1 to 8", ["lstm", "-o", "n.mlmodel", "--palettize", "9"]),
    (2, "--mode is classifier", ["lstm", "-o", "n.mlmodel", "--mode", "regressor"]),
    (2, "give --labels FILE", ["lstm", "-o", "n.mlmodel", "--mode", "classifier"]),
    (2, "give --labels FILE", ["lstm", "-o", "n.mlmodel", "--predicted-feature-name", "l"]),
    (2, "--normalize is torchvision", ["lstm", "-o", "n.mlmodel", "--normalize", "me"]),
    (2, "say --image_input", ["lstm", "-o", "n.mlmodel", "--normalize", "torchvision"]),
    (2, "--bgr is for images", ["lstm", "-o", "n.mlmodel", "--bgr"]),
    (2, "--no_normalize is for", ["lstm", "-o", "n.mlmodel", "--no-normalize"]),
    (2, "--no_normalize is for", ["mobilenetv2", "-o", "n.mlmodel", "--no-normalize"]),
    (1, "inputs seq_input, and the outputs", ["lstm", "-o", "n.mlmodel", "--shape", "x=1"]),
    (1, "a shape is 1x3x512x512", ["lstm", "-o", "n.mlmodel", "--shape", "seq_input=1,6,1"]),
    (1, "a range is 1..8", ["lstm", "-o", "n.mlmodel", "--flexible", "seq_input=8..1"]),
    (1, "give --shape seq_input=1x6x1,", ["lstm", "-o", "n.mlmodel", "--shape", "seq_input=1x?x1"]),
    (1, "from 0 on", ["lstm", "-o", "n.mlmodel", "--flexible", "seq_input.3=1..8"]),
    (1, "letters, digits and _", ["lstm", "-o", "n.mlmodel", "--input-name", "my input"]),
    (1, "are called x", ["lstm", "-o", "n.onnx", "--input-name", "x", "--output-name", "x"]),
    (1, "no such port", ["lstm", "-o", "n.onnx", "--input-name", "x", "--input-name", "y"]),
    (1, "--output_name a: the network has", ["lstm", "-o", "n.onnx", "--output-name", "a=b"]),
    (1, "no image", ["lstm", "-o", "n.mlmodel", "--image-input", "seq_input"]),
    (1, "no image is there", ["lstm", "-o", "n.mlmodel", "--image-scale", "1/255"]),
    (1, "leaves nothing of the pixels", ["lstm", "-o", "n.mlmodel", "--image-scale", "0"]),
    (1, "is a number, not 'x'", ["lstm", "-o", "n.mlmodel", "--red-bias", "x"]),
    (1, "--check_input x", ["lstm", "-o", "n.safetensors", "--check-input", "x=y.npy"]),
    (1, "y.npy", ["lstm", "-o", "n.safetensors", "--check-input", "seq_input=y.npy"]),
    (1, "labels.txt", ["lstm", "-o", "n.mlmodel", "--labels", "labels.txt"]),
    (1, "folder nowhere does not exist", ["lstm", "-o", "nowhere/n.safetensors"]),
]


@pytest.mark.parametrize("code,words,arguments", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_what_is_wrong_gets_a_sentence(program, tmp_path, code, words, arguments):
    done = program.run("convert", *arguments, code=code, cwd=tmp_path)
    assert words in sentence(done, code)
    assert list(tmp_path.iterdir()) == []


def test_inputs_that_are_given(program, lstm_file, tmp_path):
    out, x = tmp_path / "out.safetensors", tmp_path / "x.npy"
    arguments = ["convert", "lstm", "--weights", lstm_file, "-o", out, "--check-input",
                 f"seq_input={x}"]  # fmt: skip
    np.save(x, lstm.random_inputs(2, 5, exports.example("lstm").model.lstm.input_size, 1).numpy())
    program.run(*arguments)
    out.unlink()
    np.save(x, np.ones((2, 2), np.float32))
    assert "(2,2)" in sentence(program.run(*arguments, code=1), 1)
    np.save(x, np.full((1, 6, 4), np.nan, np.float32))
    assert "is not finite, which proves nothing" in sentence(program.run(*arguments, code=1), 1)
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]


@pytest.mark.parametrize("kind", ["onnx", "mlmodel", "mlpackage"])
def test_what_a_file_tells_of_itself(program, lstm_file, tmp_path, kind):
    out = tmp_path / f"net.{kind}"
    told = {"author": "A. B.", "license": "MIT", "description": "three classes", "version": "7"}
    options = [o for k, v in told.items() for o in (f"--{k}{'_string' * (k == 'version')}", v)]
    program.run("convert", "lstm", "--weights", lstm_file, "-o", out, *options)
    assert told.items() <= json.loads(program.run("info", out, "--json").stdout)["metadata"].items()
    assert "metadata author: A. B.\n" in program.run("info", out).stdout
    if kind == "onnx":
        model = onnx.load(out)
        assert model.doc_string == "three classes" and model.producer_name == "run-model"
        assert {p.key: p.value for p in model.metadata_props}["license"] == "MIT"


@pytest.mark.parametrize("half", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
@pytest.mark.parametrize("kind", ["mlmodel", "mlpackage", "onnx"])
def test_networks_in_halves(program, tmp_path, kind, half):
    """Of inputs, weights and outputs of 16 bits: the file is in floats, or as it was."""
    weight = helper.make_tensor("w", half, [8], [0.3 * i - 1.1 for i in range(8)])
    made = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["p"]), helper.make_node("Exp", ["p"], ["y"])],
        "g", [helper.make_tensor_value_info("x", half, [3, 8])],
        [helper.make_tensor_value_info("y", half, [3, 8])], [weight])  # fmt: skip
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), tmp_path / "in.onnx")  # fmt: skip
    done = program.run("convert", tmp_path / "in.onnx", "-o", tmp_path / f"out.{kind}")
    error = float(re.search(r"largest error (\S+) of", done.stdout)[1])
    assert error <= (2**-11 if half == TensorProto.FLOAT16 else 2**-8)

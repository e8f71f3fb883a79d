"""ONNX files with the inputs and outputs of one of our networks that are none all the same."""

import numpy as np
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from conftest import ROOT

SIDE = 96


def save(path, nodes, inputs, outputs, constants=()):
    ports = [
        [helper.make_tensor_value_info(name, kind, shape) for name, shape, kind in some]
        for some in (inputs, outputs)
    ]
    graph = helper.make_graph(nodes, "g", *ports, list(constants))
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def numbers(name, *values):
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def sums_of_sequences(path, kind):
    nodes = [
        helper.make_node("Cast", ["seq_input"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["x", "axes"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["sum"], ["my_output"], to=kind),
    ]
    ports = [("seq_input", ["n", "t", 4], kind)], [("my_output", ["n", 4], kind)]
    return save(path, nodes, *ports, [numbers("axes", 1)])


def frames_of_faces(path, kind, mean=False):
    """The first three planes of each face, or their mean over the faces."""
    nodes = [
        helper.make_node("Cast", ["face"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["audio"], ["a"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["a"], ["zero"], keepdims=0),
        helper.make_node("Slice", ["f", "from", "to", "axis"], ["planes"]),
        helper.make_node("ReduceMean", ["planes"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Add", ["mean" if mean else "planes", "zero"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["frames"], to=kind),
    ]
    faces = ["n", 6, SIDE, SIDE]
    inputs = [("audio", ["n", 1, 80, 16], kind), ("face", faces, kind)]
    outputs = [("frames", ["m", 3, SIDE, SIDE], kind)]
    constants = [numbers("from", 0), numbers("to", 3), numbers("axis", 1)]
    return save(path, nodes, inputs, outputs, constants)


def refused(done, *words):
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and all(word in lines[0] for word in words), done.stderr


@pytest.mark.parametrize("kind", [TensorProto.INT8, TensorProto.BOOL, TensorProto.DOUBLE])
def test_other_element_types(program, tmp_path, kind):
    weights = sums_of_sequences(tmp_path / "w.onnx", kind)
    done = program.run("lstm", *[1] * 4000, "--weights", weights, code=1)
    refused(done, "w.onnx", "seq_input", "f32")


@pytest.mark.parametrize("kind", [TensorProto.INT64, TensorProto.DOUBLE])
def test_exec_leaves_the_file_its_types(program, tmp_path, kind):
    """As the time step of a UNet, which exporters write as an integer."""
    weights = sums_of_sequences(tmp_path / "w.onnx", kind)
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.save(tmp_path / "x.npy", x)
    arguments = ["--input", f"seq_input={tmp_path / 'x.npy'}"]
    arguments += ["--output", f"my_output={tmp_path / 'y.npy'}"]
    program.run("exec", "lstm", "--weights", weights, *arguments)
    assert np.array_equal(np.load(tmp_path / "y.npy"), x.sum(axis=1))


def test_state_that_is_less_than_it_was(program, tmp_path):
    kind, state = TensorProto.FLOAT, [1, 1, 4]
    nodes = [
        helper.make_node("ReduceSum", ["seq_input", "axes"], ["sum"], keepdims=0),
        helper.make_node("Concat", ["sum", "sum", "sum"], ["my_output"], axis=1),
        helper.make_node("Slice", ["h0", "from", "to", "axis"], ["hn"]),
        helper.make_node("Slice", ["c0", "from", "to", "axis"], ["cn"]),
    ]
    inputs = [("h0", state, kind), ("c0", state, kind), ("seq_input", [1, "t", 1], kind)]
    outputs = [("my_output", [1, 3], kind), ("hn", [1, 1, 2], kind), ("cn", [1, 1, 2], kind)]
    constants = [numbers("axes", 1), numbers("from", 0), numbers("to", 2), numbers("axis", 2)]
    weights = save(tmp_path / "w.onnx", nodes, inputs, outputs, constants)
    command = program.command("lstm", "--stream", "-w", weights)
    done = subprocess.run(command, input="1\n", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    refused(done, "state hn")


def lip_sync(program, tmp_path, weights, code):
    demo = ROOT / "data" / "demo"
    face = next(path for path in sorted(demo.iterdir()) if path.suffix in (".mp4", ".mkv"))
    voice = next(path for path in sorted(demo.iterdir()) if path.suffix in (".wav", ".flac"))
    arguments = ["--face", face, "--audio", voice, "--box", 10, 100, 10, 100, "--quiet"]
    out = tmp_path / "out.mp4"
    arguments += ["--checkpoint_path", weights, "--outfile", out]
    done = program.run("wav2lip", *arguments, code=code)
    assert out.exists() == (code == 0)
    return done


def test_lip_sync_of_other_element_types(program, tmp_path):
    weights = frames_of_faces(tmp_path / "w.onnx", TensorProto.INT8)
    refused(lip_sync(program, tmp_path, weights, 1), "w.onnx", "audio", "f32")


def test_fewer_frames_than_faces(program, tmp_path):
    lip_sync(program, tmp_path, frames_of_faces(tmp_path / "a.onnx", TensorProto.FLOAT), 0)
    mean = frames_of_faces(tmp_path / "b.onnx", TensorProto.FLOAT, mean=True)
    (tmp_path / "out.mp4").unlink()
    refused(lip_sync(program, tmp_path, mean, 1), "a frame for each face")


def test_what_does_not_fit_is_told_with_the_file(program, tmp_path):
    weights = sums_of_sequences(tmp_path / "w.onnx", TensorProto.FLOAT)
    np.save(tmp_path / "x.npy", np.ones((2, 3, 5), np.float32))
    arguments = ["--input", f"seq_input={tmp_path / 'x.npy'}", "--output"]
    done = program.run("exec", weights, *arguments, f"my_output={tmp_path / 'y.npy'}", code=1)
    refused(done, "w.onnx: ", "(2,3,5)", "(?,?,4)")
    nodes = [helper.make_node("ReduceMean", ["image"], ["p"], axes=[1, 2], keepdims=0)]
    ports = [("image", [1, 1, 28, 28], TensorProto.FLOAT)], [("p", [1, 28], TensorProto.FLOAT)]
    digits = save(tmp_path / "digits.onnx", nodes, *ports)
    done = program.run("mobilenetv2", tmp_path / "a.png", "--weights", digits, code=1)
    refused(done, "digits.onnx: not a classifier of pictures")
    nodes = [helper.make_node("ReduceSum", ["seq_input", "axes"], ["my_output"], keepdims=0)]
    ports = [("seq_input", [2, "t", 4], TensorProto.FLOAT)], [
        ("my_output", [2, 4], TensorProto.FLOAT)
    ]
    pairs = save(tmp_path / "pairs.onnx", nodes, *ports, [numbers("axes", 1)])
    done = program.run("lstm", 1, 2, 3, 4, "--weights", pairs, code=1)
    refused(done, "pairs.onnx: the file fixes batches of 2")


def test_paths_that_are_no_files(program, tmp_path):
    done = program.run("lstm", "--quiet", "--input", tmp_path, code=1)
    refused(done, str(tmp_path), "directory")
    weights = sums_of_sequences(tmp_path / "w.onnx", TensorProto.FLOAT)
    np.save(tmp_path / "x.npy", np.ones((2, 3, 4), np.float32))
    out = tmp_path / "nowhere" / "y.npy"
    arguments = ["--input", f"seq_input={tmp_path / 'x.npy'}", "--output", f"my_output={out}"]
    refused(program.run("exec", weights, *arguments, code=1), f"{out}: cannot be written")

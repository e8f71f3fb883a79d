"""ONNX files that are written: onnx.checker takes them, and ONNX Runtime computes what we do."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from conftest import NETWORK_TOLERANCE
from engine import bits_cases
from engine.test_output_bits import Weights

sys.path.insert(0, str(Path(__file__).resolve().parent))

import onnx_written as written  # noqa: E402

# One of each network, at odd sizes where it has any. Free sizes stay free.
NETWORKS = {
    "wav2lip-odd-1": 17,
    "s3fd-odd-3x3x75x101": 17,
    "ffdnet-ipol-odd-3x37x51": 13,
    "ffdnet-ipol-odd-1x64x96": 21,
    "ffdnet-gray-3x37x51": 17,
    "ffdnet-map-3x37x51": 17,
    "mobilenetv2-odd-1x3x130x111": 17,
    "lstm-3x17": 13,
    "lstm-stream-3x17": 17,
    "unet-odd-3x11x18": 17,
    "unet-step0-odd-1x16x16": 21,
    "vae-encoder-odd-3x8x10": 13,
    "vae-decoder-odd-3x8x10": 21,
    "wav2vec2-even-3x3333": 17,
    "wav2vec2-stable-1x4001": 13,
    "wav2vec2-norm-1": 17,
    "wav2vec2-features-1": 17,
    "whisper-encoder-1": 17,
}
CASES = {case.name: case for case in bits_cases.all_cases() if case.name in NETWORKS}


@pytest.fixture(scope="module")
def weights(program, tmp_path_factory):
    return Weights(tmp_path_factory.mktemp("weights"), program.path.with_name("rml-random-weights"))


@pytest.mark.parametrize("name", NETWORKS)
def test_network(program, weights, tmp_path, name):
    case, out = CASES[name], tmp_path / "net.onnx"
    file = weights.file(case)
    assert not written.write(program, case.network, out, f"weights={file}",
                             f"opset={NETWORKS[name]}")  # fmt: skip
    onnx.checker.check_model(str(out), full_check=True)
    told = onnx.load(out)
    assert [o.version for o in told.opset_import] == [NETWORKS[name]]
    assert sorted(port.name for port in told.graph.input) == sorted(case.inputs)
    assert sorted(port.name for port in told.graph.output) == sorted(case.outputs)
    source = [case.network, "--weights", file]
    ours = written.run_program(program, source, case.inputs, case.outputs, tmp_path)
    back = written.run_program(program, [out], case.inputs, case.outputs, tmp_path)
    theirs = written.run_onnxruntime(out, case.inputs, case.outputs)
    assert written.error(ours, back) <= NETWORK_TOLERANCE
    assert written.error(ours, theirs) <= NETWORK_TOLERANCE


# ---- what the file says -------------------------------------------------------------------------


def test_names_and_sizes(program, tmp_path):
    """Ports are called as they are wanted; sizes that are free have names; weights keep theirs."""
    out, again = tmp_path / "net.onnx", tmp_path / "again.onnx"
    options = ["weights=random:1", "port=seq_input,as=series,shape=-1x-1x1", "port=my_output,as=y",
               "author=A", "license=B", "version=1", "description=D", "source=S"]  # fmt: skip
    written.write(program, "lstm", out, *options)
    written.write(program, "lstm", again, *options)
    assert out.read_bytes() == again.read_bytes()
    model = onnx.load(out)
    (x,), (y,) = model.graph.input, model.graph.output
    sizes = [[d.dim_param or d.dim_value for d in p.type.tensor_type.shape.dim] for p in (x, y)]
    assert (x.name, y.name, sizes) == ("series", "y", [["dim_0", "dim_1", 1], ["dim_0", 3]])
    assert {"lstm.weight_ih_l0", "fc.bias"} <= {t.name for t in model.graph.initializer}
    assert all(t.HasField("raw_data") for t in model.graph.initializer)
    assert model.producer_name == "run-model" and model.doc_string == "D" and model.ir_version == 8
    props = {entry.key: entry.value for entry in model.metadata_props}
    assert props == {"author": "A", "license": "B", "version": "1", "source": "S"}
    names = [node.name for node in model.graph.node]
    assert len(set(names)) == len(names)  # which ONNX Runtime wants


def test_names_of_a_file(program, tmp_path):
    """Names of sizes are the source's, also where another has none; a value may be an output twice,
    or an input and an output at once."""
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    info = onnx.helper.make_tensor_value_info
    ports = [info("x", 1, ["dim_0", None]), info("unused", 7, [None])]
    copy = onnx.helper.make_node("Identity", ["y"], ["z"])
    same = onnx.helper.make_node("Identity", ["x"], ["w"])
    fixed = onnx.numpy_helper.from_array(np.arange(3), "fixed")
    outputs = [info("y", 1, None), info("z", 1, None), info("w", 1, None), info("fixed", 7, [3])]
    graph = onnx.helper.make_graph([node, copy, same], "g", ports, outputs, [fixed])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, tmp_path / "in.onnx")
    written.write(program, tmp_path / "in.onnx", tmp_path / "out.onnx")
    onnx.checker.check_model(str(tmp_path / "out.onnx"), full_check=True)
    told = onnx.load(tmp_path / "out.onnx").graph
    sizes = {p.name: [d.dim_param for d in p.type.tensor_type.shape.dim]
             for p in (*told.input, *told.output)}  # fmt: skip
    both = ["dim_0", "dim_1"]
    assert sizes == {"x": both, "unused": ["dim_2"], "y": both, "z": both, "w": both, "fixed": [""]}
    x = np.array([[1, -2]], np.float32)
    got = written.run_onnxruntime(tmp_path / "out.onnx", {"x": x, "unused": np.arange(1)}, None)
    assert [a.tolist() for a in got] == [[[1, 0]], [[1, 0]], [[1, -2]], [0, 1, 2]]


# ---- weights in fewer bits ----------------------------------------------------------------------


def decoded(model):
    """Weights by name, as the file's own nodes make them."""
    stored = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]].astype(np.float32)
        if node.op_type == "DequantizeLinear":
            codes, scale = (stored[name] for name in node.input)
            (axis,) = [a.i for a in node.attribute if a.name == "axis"]
            shape = [-1 if i == axis else 1 for i in range(codes.ndim)]
            assert codes.dtype == np.int8 and codes.size > 2048 and codes.min() >= -127
            stored[node.output[0]] = codes.astype(np.float32) * scale.reshape(shape)
    return stored


@pytest.mark.parametrize("kind, bound, ratio", [("f16", 1e-3, 0.52), ("int8", 3e-2, 0.3)])
def test_fewer_bits(program, weights, tmp_path, kind, bound, ratio):
    case = CASES["mobilenetv2-odd-1x3x130x111"]
    options = [f"weights={weights.file(case)}"]
    plain, small = tmp_path / "plain.onnx", tmp_path / "small.onnx"
    written.write(program, case.network, plain, *options)
    written.write(program, case.network, small, *options, f"kind={kind}")
    onnx.checker.check_model(str(small), full_check=True)
    before, after = decoded(onnx.load(plain)), decoded(onnx.load(small))
    for name, array in before.items():
        axes = tuple(range(1, array.ndim)) if array.ndim > 1 else ()
        step = np.abs(array).max(axes, keepdims=True) / (254 if kind == "int8" else 2048)
        assert array.dtype != np.float32 or (np.abs(array - after[name]) <= step * 1.001).all()
    outputs = [written.run_onnxruntime(path, case.inputs, None) for path in (plain, small)]
    assert 0 < written.error(*outputs) < bound
    (back,) = [written.run_program(program, [small], case.inputs, case.outputs, tmp_path)]
    assert written.error(outputs[1], back) <= NETWORK_TOLERANCE
    large = sum(a.nbytes for a in before.values() if a.size > 2048 and a.ndim > 1)
    saved = plain.stat().st_size - small.stat().st_size
    assert saved > large * (1 - ratio) * 0.9


def test_refused(program, tmp_path):
    out = tmp_path / "net.onnx"
    random = "weights=random:1"
    assert "places in a table" in written.write(program, "lstm", out, random, "kind=palette4",
                                                code=1)  # fmt: skip
    assert "from 13 to 21" in written.write(program, "lstm", out, random, "opset=22", code=1)
    nodes = [onnx.helper.make_node("CumProd", ["x", "axis"], ["y"], name="first"),
             onnx.helper.make_node("BitCast", ["y"], ["z"], name="second", to=6)]  # fmt: skip
    info = onnx.helper.make_tensor_value_info
    axis = numpy_helper.from_array(np.array(0), "axis")
    graph = onnx.helper.make_graph(nodes, "g", [info("x", 1, [3])], [info("z", 6, [3])], [axis])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 26)])
    onnx.save(model, tmp_path / "new.onnx")
    told = written.write(program, tmp_path / "new.onnx", out, code=1)
    assert "cannot hold 2 of the nodes: \"first\" (cumsum): " in told
    assert "\"second\" (bitcast): " in told
    assert not out.exists()


# ---- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, opset", [("mnist_zoo", 13), ("yunet_n_dynamic", 17), ("silero_vad_16k_op15", 21)]
)
def test_real_file(program, shared_data, tmp_path, name, opset):
    source, out = shared_data / "onnx" / f"{name}.onnx", tmp_path / "out.onnx"
    written.write(program, source, out, f"opset={opset}")
    told = onnx.load(out)
    for port, known in zip(told.graph.output, onnx.load(source).graph.output, strict=True):
        if not port.type.tensor_type.HasField("shape"):  # the checker wants what only a run tells
            assert name.startswith("silero")
            port.CopyFrom(known)
    onnx.checker.check_model(told, full_check=True)
    ports = onnxruntime.InferenceSession(str(source)).get_inputs()
    rng = np.random.default_rng(1)
    free = {"yunet_n_dynamic": 96, "silero_vad_16k_op15": 512}.get(name, 1)
    inputs = {}
    for port in ports:
        shape = [d if isinstance(d, int) and d > 0 else free for d in port.shape]
        if name.startswith("silero"):
            shape = {"input": [1, 512], "state": [2, 1, 128], "sr": []}[port.name]
        inputs[port.name] = rng.random(shape).astype(np.float32)
        if port.type == "tensor(int64)":
            inputs[port.name] = np.array(16000)
    theirs, ours = (written.run_onnxruntime(path, inputs, None) for path in (source, out))
    assert written.error(theirs, ours) <= NETWORK_TOLERANCE

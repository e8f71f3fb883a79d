"""Recurrent layers of PyTorch that Core ML has not, written as loops."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_written import error, run_onnxruntime, run_program, write

pytest.importorskip("coremltools")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "coreml"))

import coreml_run  # noqa: E402

TOLERANCE = 5e-6  # of the largest value
T, N, I, H = 5, 2, 3, 4


def exported(folder, net, *inputs):
    path = folder / "net.onnx"
    names = ["x", "h"][:len(inputs)]
    torch.onnx.export(net, inputs, str(path), input_names=names, output_names=["y", "last"],
                      dynamo=False)
    return path


def written(program, source, kind, folder, *options):
    out = folder / f"out.{kind}"
    write(program, source, out, *options)
    if kind == "mlpackage":
        coreml_run.load_program(out)
    else:
        coreml_run.ct.utils.load_spec(str(out))
    return out


@pytest.mark.parametrize("kind", ["mlmodel", "mlpackage"])
@pytest.mark.parametrize("settings", [
    {}, {"bias": False}, {"num_layers": 2}, {"bidirectional": True, "batch_first": True}],
    ids=lambda s: " ".join(s) or "plain")  # fmt: skip
def test_gru_of_torch(program, tmp_path, kind, settings):
    torch.manual_seed(0)
    net = torch.nn.GRU(I, H, **settings).eval()
    x = torch.randn(*((N, T, I) if settings.get("batch_first") else (T, N, I)))
    h = torch.randn(net.num_layers * (2 if net.bidirectional else 1), N, H)
    for inputs in ((x,), (x, h)):
        source = exported(tmp_path, net, *inputs)
        assert "linear_before_reset" in str(onnx.load(source))
        with torch.no_grad():
            want = [o.numpy() for o in net(*inputs)]
        out = written(program, source, kind, tmp_path)
        arrays = {n: a.numpy() for n, a in zip(["x", "h"], inputs)}
        got = run_program(program, [out], arrays, ["y", "last"], tmp_path)
        assert error(want, [g.reshape(w.shape) for g, w in zip(got, want)]) < TOLERANCE


def test_gru_of_a_phone_of_today(program, tmp_path):
    """iOS 18 has the layer: it is not taken apart."""
    source = exported(tmp_path, torch.nn.GRU(I, H).eval(), torch.randn(T, N, I))
    out = written(program, source, "mlpackage", tmp_path, "ios=18")
    spec = coreml_run.ct.utils.load_spec(str(out))
    kinds = {op.type for op in coreml_run.block_of(spec).operations}
    assert "gru" in kinds and "while_loop" not in kinds


@pytest.mark.parametrize("kind", ["mlmodel", "mlpackage"])
@pytest.mark.parametrize("op, gates", [("GRU", 3), ("RNN", 1)])
def test_both_directions(program, tmp_path, kind, op, gates):
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal(shape).astype(np.float32) / 2
               for shape in ((2, gates * H, I), (2, gates * H, H), (2, 2 * gates * H))]
    names = {"GRU": ["Sigmoid", "Tanh", "Sigmoid", "Relu"], "RNN": ["Tanh", "Relu"]}[op]
    made = helper.make_node(op, ["x", "w", "r", "b", "", "h"], ["y", "last"], hidden_size=H,
                            direction="bidirectional", activations=names)
    sides = ([("x", (T, N, I)), ("h", (2, N, H))], [("y", (T, 2, N, H)), ("last", (2, N, H))])
    ports = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in side]
             for side in sides]
    graph = helper.make_graph([made], "g", *ports, [numpy_helper.from_array(a, n)
                                                    for n, a in zip("wrb", weights)])
    source = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              source)
    arrays = {"x": rng.standard_normal((T, N, I)).astype(np.float32),
              "h": rng.standard_normal((2, N, H)).astype(np.float32)}
    want = run_onnxruntime(source, arrays, ["y", "last"])
    got = run_program(program, [written(program, source, kind, tmp_path)], arrays, ["y", "last"],
                      tmp_path)
    assert error(want, [g.reshape(w.shape) for g, w in zip(got, want)]) < TOLERANCE

"""Scans, loops and recurrent layers of lengths that only a run tells, in Core ML files."""

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx_written import error, run_onnxruntime, run_program, write

N, I, H = 1, 3, 4
node, info = helper.make_node, helper.make_tensor_value_info
LENGTHS = (1, 2, 7)
KINDS = ["mlpackage", "mlmodel"]


def save(path, nodes, inputs, outputs, weights=()):
    graph = helper.make_graph(
        nodes, "g", [info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [info(n, TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in dict(weights).items()])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), path)  # fmt: skip


def load(path):
    """By coremltools."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "coreml"))
    import coreml_run

    if path.suffix == ".mlpackage":
        coreml_run.load_program(path)
    else:
        coreml_run.ct.utils.load_spec(str(path))


def check(program, folder, source, kind, inputs, outputs, *options, tolerance=5e-6):
    """Of lengths that differ, as ONNX Runtime computes them; `inputs` has None for the length."""
    pytest.importorskip("coremltools")
    out = folder / f"out.{kind}"

    def dims(shape, length):
        return "x".join(str(length if d is None else d) for d in shape)

    write(program, source, out, *options, *(
        f"port={n},shape={dims(s, -1)},low={dims(s, 1)},high={dims(s, 9)},usual={dims(s, 2)}"
        for n, s in inputs.items() if None in s))  # fmt: skip
    load(out)
    for length in LENGTHS:
        generator = np.random.default_rng(length)
        arrays = {n: generator.standard_normal([length if d is None else d for d in s])
                  .astype(np.float32) for n, s in inputs.items()}  # fmt: skip
        want = run_onnxruntime(source, arrays, outputs)
        got = run_program(program, [out], arrays, outputs, folder)
        assert error(want, [g.reshape(w.shape) for g, w in zip(got, want)]) < tolerance
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("settings", [
    {}, {"num_layers": 2}, {"bidirectional": True}, {"batch_first": True}],
    ids=lambda s: " ".join(s) or "plain")  # fmt: skip
@pytest.mark.parametrize("layer", [torch.nn.GRU, torch.nn.LSTM, torch.nn.RNN])
def test_recurrent_layers(program, tmp_path, kind, layer, settings):
    torch.manual_seed(0)
    net, source = layer(I, H, **settings).eval(), tmp_path / "in.onnx"
    shape = (N, None, I) if settings.get("batch_first") else (None, N, I)
    torch.onnx.export(net, torch.randn([d or 5 for d in shape]), str(source), dynamo=False,
                      input_names=["x"], output_names=["y", "last"],
                      dynamic_axes={"x": {shape.index(None): "steps"}})  # fmt: skip
    check(program, tmp_path, source, kind, {"x": shape}, ["y", "last"])


def scan_file(path, axes, directions, out_axes, out_directions):
    """A running sum, and what it is when it is multiplied with another input."""
    body = helper.make_graph(
        [node("Add", ["s", "a"], ["s2"]), node("Mul", ["s2", "b"], ["p"]),
         node("Neg", ["s2"], ["n"])],
        "turn", [info(n, TensorProto.FLOAT, (4,)) for n in "sab"],
        [info(n, TensorProto.FLOAT, (4,)) for n in ("s2", "p", "n")])  # fmt: skip
    save(path, [node("Scan", ["first", "x", "z"], ["end", "p", "n"], body=body, num_scan_inputs=2,
                     scan_input_axes=axes, scan_input_directions=directions,
                     scan_output_axes=out_axes, scan_output_directions=out_directions)],
         {"first": (4,), "x": ("T", 4), "z": (4, "T") if axes[1] else ("T", 4)},
         ["end", "p", "n"])  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ways", [([0, 0], [0, 0], [0, 0], [0, 0]),
                                  ([0, 1], [1, 0], [0, 1], [1, 0]),
                                  ([0, 1], [0, 1], [1, 0], [1, 1])])  # fmt: skip
def test_scans(program, tmp_path, kind, ways):
    source = tmp_path / "in.onnx"
    scan_file(source, *ways)
    check(program, tmp_path, source, kind,
          {"first": (4,), "x": (None, 4), "z": (4, None) if ways[0][1] else (None, 4)},
          ["end", "p", "n"])  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_loops(program, tmp_path, kind):
    """As many turns as an input has rows; each gives a value."""
    source = tmp_path / "in.onnx"
    body = helper.make_graph(
        [node("Gather", ["x", "turn"], ["row"]), node("Add", ["s", "row"], ["s2"]),
         node("Mul", ["s2", "row"], ["v"]), node("Identity", ["go"], ["on"])], "turn",
        [info("turn", TensorProto.INT64, ()), info("go", TensorProto.BOOL, ()),
         info("s", TensorProto.FLOAT, (4,))],
        [info("on", TensorProto.BOOL, ()), info("s2", TensorProto.FLOAT, (4,)),
         info("v", TensorProto.FLOAT, (4,))])  # fmt: skip
    save(source, [node("Shape", ["x"], ["all"]), node("Gather", ["all", "zero"], ["rows"]),
                  node("Loop", ["rows", "", "first"], ["end", "values"], body=body)],
         {"x": ("T", 4), "first": (4,)}, ["end", "values"],
         {"zero": np.array(0)})  # fmt: skip
    check(program, tmp_path, source, kind, {"x": (None, 4), "first": (4,)}, ["end", "values"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nodes", [
    [node("Shape", ["x"], ["all"]), node("ConstantOfShape", ["all"], ["zeros"]),
     node("Cos", ["zeros"], ["ones"]), node("Add", ["x", "ones"], ["y"])],
    [node("Shape", ["x"], ["all"]), node("ReduceMean", ["x"], ["mean"], keepdims=0),
     node("Expand", ["mean", "all"], ["rows"]), node("Mul", ["x", "rows"], ["y"])],
    [node("Shape", ["x"], ["all"]), node("Split", ["all"], ["n", "t", "four"]),
     node("Concat", ["t", "n", "four"], ["list"], axis=0), node("Reshape", ["x", "list"], ["y"])]],
    ids=["constant", "number", "reshape"])  # fmt: skip
def test_sizes_of_a_run(program, tmp_path, kind, nodes):
    source = tmp_path / "in.onnx"
    save(source, nodes, {"x": ("N", "T", 4)}, ["y"])
    check(program, tmp_path, source, kind, {"x": (None, None, 4)}, ["y"])

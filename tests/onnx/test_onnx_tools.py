"""Whole networks as ONNX Runtime's quantizer and optimiser write them, against ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnxruntime import quantization

import onnx_run

LEVELS = onnxruntime.GraphOptimizationLevel


def weights(*shape):
    fan = np.prod(shape[1:]) if len(shape) > 1 else 4
    numbers = np.random.default_rng([*shape]).standard_normal(shape)
    return (numbers / np.sqrt(fan)).astype(np.float32)


class Network:
    """Nodes one after another; constants on the way."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], {}, 0

    def constant(self, array):
        self.count += 1
        self.constants[f"w{self.count}"] = np.asarray(array)
        return f"w{self.count}"

    def __call__(self, op, *inputs, **attributes):
        self.count += 1
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        self.nodes.append(helper.make_node(op, names, [f"v{self.count}"],
                                           name=f"{op}{self.count}", **attributes))
        return f"v{self.count}"

    def model(self, x, y, opset):
        self.nodes.append(helper.make_node("Identity", [y], ["y"]))
        return onnx_run.model(self.nodes, {"x": x}, {"y": 1}, opset, self.constants)


def picture_network(opset=13):
    """Every operator on images that the quantizer has a quantized one for."""
    n, x = Network(), weights(2, 3, 16, 16) * 20
    a = n("Relu", n("Conv", "x", weights(8, 3, 3, 3), weights(8), pads=[1, 1, 1, 1]))
    b = n("Sigmoid", n("Conv", a, weights(8, 8, 1, 1)))
    c = n("Add", n("Mul", a, b), a)
    d = n("LeakyRelu", n("Conv", c, weights(8, 1, 3, 3), group=8, pads=[1, 1, 1, 1]), alpha=0.2)
    e = n("Concat", c, d, axis=1)
    e = n("AveragePool", n("MaxPool", e, kernel_shape=[2, 2], strides=[2, 2]),
          kernel_shape=[2, 2], strides=[2, 2])
    e = n("Clip", n("Conv", e, weights(12, 16, 3, 3), weights(12)), np.float32(0), np.float32(6))
    f = n("GlobalAveragePool", e)
    g = n("Gemm", n("Flatten", f), weights(12, 5), weights(5))
    return n.model(x, n("Softmax", g, axis=-1), opset), x


def row_network(opset=13):
    n, x = Network(), weights(2, 7, 16) * 8
    a = n("Add", n("MatMul", "x", weights(16, 16)), weights(16))
    a = n("Relu", a)
    b = n("MatMul", a, n("Transpose", "x", perm=[0, 2, 1]))
    c = n("MatMul", n("Softmax", b, axis=-1), a)
    d = n("Reshape", n("Add", c, "x"), np.array([14, 16]))
    return n.model(x, n("Gemm", d, weights(16, 4), weights(4)), opset), x


class Reader(quantization.CalibrationDataReader):
    def __init__(self, x):
        rng = np.random.default_rng(2)
        self.batches = iter([{"x": rng.standard_normal(x.shape).astype(np.float32)} for _ in "abc"]
                            + [{"x": x}])  # fmt: skip

    def get_next(self):
        return next(self.batches, None)


def write_quantized(folder, made, x, settings):
    onnx.save(made, folder / "float.onnx")
    quantization.quantize_static(folder / "float.onnx", folder / "q.onnx", Reader(x), **settings)
    return onnx.load(folder / "q.onnx")


def session(made, level):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level
    return onnxruntime.InferenceSession(made.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def optimised(folder, made, level):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(made.SerializeToString(), options,
                                 providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimised.onnx")


def ours(made):
    return {node.op_type for node in made.graph.node if node.domain == "com.microsoft"}


def near(y, want, quantized):
    """Within the one code by which ONNX Runtime differs from itself at its other levels."""
    close = np.diff(np.unique(want)).min() * 1.01 if quantized else 2e-5 * np.abs(want).max()
    assert y.shape == want.shape and np.abs(y - want).max() <= close


FORMATS, TYPES = quantization.QuantFormat, quantization.QuantType
KINDS = [("QUInt8", "QInt8"), ("QInt8", "QInt8"), ("QUInt8", "QUInt8")]
NETWORKS = [picture_network, row_network]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("style", ["QOperator", "QDQ"])
def test_quantize_static(program, tmp_path, network, kinds, style):
    made, x = network()
    made = write_quantized(tmp_path, made, x, {
        "quant_format": FORMATS[style], "per_channel": kinds[1] == "QInt8",
        "activation_type": TYPES[kinds[0]], "weight_type": TYPES[kinds[1]]})
    assert style == "QDQ" or "QGemm" in ours(made)
    (want,) = session(made, LEVELS.ORT_DISABLE_ALL).run(None, {"x": x})
    (y,) = onnx_run.run(program, tmp_path, made, {"x": x})
    near(y, want, True)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("kind", ["float", "static", "dynamic"])
@pytest.mark.parametrize("level", ["BASIC", "EXTENDED", "ALL"])
def test_optimised(program, tmp_path, network, kind, level):
    made, x = network()
    if kind == "static":
        made = write_quantized(tmp_path, made, x, {"quant_format": FORMATS.QDQ})
    if kind == "dynamic":
        onnx.save(made, tmp_path / "float.onnx")
        quantization.quantize_dynamic(tmp_path / "float.onnx", tmp_path / "q.onnx")
        made = onnx.load(tmp_path / "q.onnx")
    made = optimised(tmp_path, made, getattr(LEVELS, f"ORT_ENABLE_{level}"))
    if any(node.domain == "com.microsoft.nchwc" for node in made.graph.node):
        with pytest.raises(AssertionError, match="with ORT_ENABLE_EXTENDED in place of ORT_ENABLE"):
            onnx_run.run(program, tmp_path, made, {"x": x})
        return
    assert level == "BASIC" or ours(made)
    (want,) = session(made, LEVELS.ORT_DISABLE_ALL).run(None, {"x": x})
    (y,) = onnx_run.run(program, tmp_path, made, {"x": x})
    near(y, want, kind != "float")

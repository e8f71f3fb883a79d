"""QLinearMatMul, QLinearConv and QGemm in Core ML files: the same codes, to the last one."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_written import run_program, write

NUMBERS = np.random.default_rng(12)
KINDS = ["mlpackage", "mlmodel"]


def save(path, op, a, weights, inputs, domain="", **attributes):
    nodes = [helper.make_node(op, inputs, ["y"], name="codes", domain=domain, **attributes)]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("a", TensorProto.UINT8, a.shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in weights.items()])  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def check(program, folder, source, kind, a):
    pytest.importorskip("coremltools")
    out = folder / f"out.{kind}"
    write(program, source, out)
    (want,) = run_program(program, [source], {"a": a}, ["y"], folder)
    (got,) = run_program(program, [out], {"a": a.astype(np.int32)}, ["y"], folder)
    np.testing.assert_array_equal(got.reshape(want.shape), want)
    return want


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scales", [(1, 2**-7, 1), (0.02, 0.3, 0.7), (0.011, 0.13, 0.1999)],
                         ids=["ties", "some", "others"])  # fmt: skip
def test_sums_of_all_kinds(program, tmp_path, kind, scales):
    """All that two codes and two columns give, among them many in the middle between two codes."""
    a = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1).reshape(-1, 2).astype(np.uint8)
    weights = {"b": np.array([[126, -77], [1, 127]], np.int8), "az": np.uint8(3),
               "bz": np.int8(0), "yz": np.uint8(131),
               **dict(zip(("as", "bs", "ys"), map(np.float32, scales)))}  # fmt: skip
    source = tmp_path / "in.onnx"
    save(source, "QLinearMatMul", a, weights, ["a", "as", "az", "b", "bs", "bz", "ys", "yz"])
    codes = check(program, tmp_path, source, kind, a)
    assert len(np.unique(codes)) > 200


@pytest.mark.parametrize("kind", KINDS)
def test_convolution(program, tmp_path, kind):
    """With a bias, a scale for each channel, and padding, which is the zero point."""
    a = NUMBERS.integers(0, 256, (1, 3, 9, 8)).astype(np.uint8)
    weights = {"w": NUMBERS.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8),
               "as": np.float32(0.02), "az": np.uint8(100),
               "ws": np.array([0.01, 0.003, 0.02, 0.007], np.float32), "wz": np.zeros(4, np.int8),
               "ys": np.float32(0.04), "yz": np.uint8(120),
               "b": NUMBERS.integers(-5000, 5000, 4).astype(np.int32)}  # fmt: skip
    source = tmp_path / "in.onnx"
    save(source, "QLinearConv", a, weights,
         ["a", "as", "az", "w", "ws", "wz", "ys", "yz", "b"], pads=[1, 1, 1, 1])  # fmt: skip
    assert len(np.unique(check(program, tmp_path, source, kind, a))) > 20
    weights["b"][2] = 1 << 24
    save(source, "QLinearConv", a, weights, ["a", "as", "az", "w", "ws", "wz", "ys", "yz", "b"])
    said = write(program, source, tmp_path / f"large.{kind}", code=1)
    assert '"codes" (requantize): sums and bias of codes may pass 16777216' in said


@pytest.mark.parametrize("kind", KINDS)
def test_gemm(program, tmp_path, kind):
    a = NUMBERS.integers(0, 256, (5, 12)).astype(np.uint8)
    weights = {"b": NUMBERS.integers(-127, 128, (7, 12)).astype(np.int8), "as": np.float32(0.02),
               "az": np.uint8(100), "bs": np.float32(0.01), "bz": np.int8(0),
               "c": NUMBERS.integers(-5000, 5000, 7).astype(np.int32), "ys": np.float32(0.05),
               "yz": np.uint8(120)}  # fmt: skip
    source = tmp_path / "in.onnx"
    save(source, "QGemm", a, weights, ["a", "as", "az", "b", "bs", "bz", "c", "ys", "yz"],
         "com.microsoft", transB=1)  # fmt: skip
    assert len(np.unique(check(program, tmp_path, source, kind, a))) > 10

"""Layers of iOS 12, on channels, height and width: signals, slices, reductions."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_written import error, run_onnxruntime, run_program, write

node = helper.make_node
GENERATOR = np.random.default_rng(6)


def numbers(*shape):
    return GENERATOR.standard_normal(shape).astype(np.float32)


W, B = numbers(4, 3, 5), numbers(4)
CASES = {
    "convolution": ([node("Conv", ["x", "w", "b"], ["y"], strides=[2], pads=[1, 3],
                          dilations=[2])], (1, 3, 40), {"w": W, "b": B}),
    "groups": ([node("Conv", ["x", "w"], ["y"], group=2)], (1, 6, 11), {"w": W}),
    "same": ([node("Conv", ["x", "w"], ["y"], auto_pad="SAME_UPPER", strides=[3])], (1, 3, 16),
             {"w": W}),
    "largest": ([node("MaxPool", ["x"], ["y"], kernel_shape=[3], strides=[2], pads=[1, 1])],
                (1, 2, 9), {}),
    "mean": ([node("AveragePool", ["x"], ["y"], kernel_shape=[4], strides=[2], pads=[1, 1],
                   count_include_pad=1)], (1, 2, 12), {}),
    "mean without padding": ([node("AveragePool", ["x"], ["y"], kernel_shape=[3], pads=[1, 1])],
                             (1, 2, 12), {}),
    "slice with the whole batch": (
        [node("Slice", ["x", "from", "to", "axes"], ["y"])], (1, 4, 5, 6),
        {"from": np.array([0, 1, -3]), "to": np.array([2**31 - 1, 3, 2**31 - 1]),
         "axes": np.array([0, 1, 3])}),
    "slice of everything": (
        [node("Slice", ["x", "from", "to"], ["s"]), node("Relu", ["s"], ["y"])], (1, 4, 5, 6),
        {"from": np.array([0, 0]), "to": np.array([1, 9])}),
    "least of planes": ([node("ReduceMin", ["x"], ["y"], axes=[1, 2], keepdims=0)], (1, 7, 9), {}),
    "sum of the width": ([node("ReduceSum", ["x", "a"], ["y"], keepdims=0)], (1, 3, 4, 5),
                         {"a": np.array([-1])}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_layers(program, tmp_path, name):
    ct = pytest.importorskip("coremltools")
    nodes, shape, weights = CASES[name]
    source, out = tmp_path / "in.onnx", tmp_path / "out.mlmodel"
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a, n) for n, a in weights.items()])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), source)  # fmt: skip
    write(program, source, out, "ios=12")
    spec = ct.utils.load_spec(str(out))
    assert spec.specificationVersion <= 3
    x = numbers(*shape)
    want = run_onnxruntime(source, {"x": x}, ["y"])
    planes = x if len(shape) < 4 else x[0]
    (got,) = run_program(program, [out], {"x": planes}, ["y"], tmp_path)
    assert error([want[0].reshape(-1)], [got.reshape(-1)]) < 2e-6

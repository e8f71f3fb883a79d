"""Quantized networks in Core ML files: what is quantized is the same whole numbers, in floats."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx_written import error, run_onnxruntime, run_program, write

node = helper.make_node
GENERATOR = np.random.default_rng(8)


def save(path, nodes, shape, out, weights, kind=TensorProto.FLOAT):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", kind, out)],
        [numpy_helper.from_array(a, n) for n, a in weights.items()])  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(made)
    onnx.save(made, path)


def pair(x, y, scale, zero, axis=1, between=()):
    codes = between[-1].output[0] if between else f"{y}_codes"
    return [node("QuantizeLinear", [x, scale, zero], [f"{y}_codes"], axis=axis), *between,
            node("DequantizeLinear", [codes, scale, zero], [y], axis=axis)]  # fmt: skip


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
@pytest.mark.parametrize("codes", [np.uint8, np.int8, np.uint16, np.int16])
def test_quantized_convolution(program, tmp_path, kind, codes):
    """As quantizers write it: codes of inputs and results, also moved, and weights of 8 bits by
    channels."""
    pytest.importorskip("coremltools")
    weights = {
        "s": np.float32(0.05), "z": np.asarray(7, codes), "r": np.float32(0.1),
        "cs": np.array([0.1, 0.03], np.float32), "cz": np.array([3, 0], codes),
        "w": GENERATOR.integers(-127, 127, (2, 2, 3, 3)).astype(np.int8),
        "ws": np.array([0.01, 0.02], np.float32), "wz": np.zeros(2, np.int8),
        "rows": np.array([2, 20]), "from": np.array([1]), "to": np.array([19]),
        "columns": np.array([1])}  # fmt: skip
    moved = [node("Transpose", ["t_codes"], ["t_turned"], perm=[0, 1, 3, 2]),
             node("Reshape", ["t_turned", "rows"], ["t_rows"]),
             node("Slice", ["t_rows", "from", "to", "columns"], ["t_part"])]  # fmt: skip
    nodes = [*pair("x", "a", "s", "z"),
             node("DequantizeLinear", ["w", "ws", "wz"], ["wf"], axis=0),
             node("Conv", ["a", "wf"], ["c"], pads=[1, 1, 1, 1]),
             *pair("c", "b", "cs", "cz"), *pair("b", "t", "r", "z", between=moved),
             node("Relu", ["t"], ["y"])]  # fmt: skip
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    save(source, nodes, [1, 2, 4, 5], [2, 18], weights)
    write(program, source, out)
    # Halves of steps go to the even code, and what is large ends at the range's end.
    x = (GENERATOR.integers(-40, 40, (1, 2, 4, 5)) * 0.025).astype(np.float32)
    x[0, 0, 0, :2] = 1e9, -1e9
    inputs = {"x": x}
    want = run_onnxruntime(source, inputs, ["y"], optimise=False)
    assert error(want, run_program(program, [out], inputs, ["y"], tmp_path)) < 2e-6


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
def test_codes_that_are_moved_read_and_given(program, tmp_path, kind):
    """Also those of a table, and of an input; outputs are whole numbers."""
    pytest.importorskip("coremltools")
    weights = {
        "s": np.float32(0.05), "z": np.asarray(7, np.uint8), "rows": np.array([2, 0]),
        "table": GENERATOR.integers(0, 256, (3, 4)).astype(np.uint8), "first": np.array([0]),
        "test": np.array([[True], [False]]), "two": np.array([3, 3])}  # fmt: skip
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]),
             node("Gather", ["table", "rows"], ["picked"]),
             node("Concat", ["q", "picked"], ["joined"], axis=0),
             node("Split", ["joined"], ["upper", "lower"], axis=0, num_outputs=2),
             node("Transpose", ["codes"], ["turned"], perm=[1, 0]),
             node("Where", ["test", "lower", "turned"], ["chosen"]),
             node("Unsqueeze", ["chosen", "first"], ["lone"]),
             node("Identity", ["upper"], ["given"]), node("Cast", ["lone"], ["wide"], to=1),
             node("DequantizeLinear", ["lone", "s", "z"], ["y"])]  # fmt: skip
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", 1, [2, 4]), value("codes", TensorProto.UINT8, [4, 2])],
        [value("y", 1, [1, 2, 4]), value("wide", 1, [1, 2, 4]),
         value("given", TensorProto.UINT8, [2, 4])],
        [numpy_helper.from_array(a, n) for n, a in weights.items()])  # fmt: skip
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(made)
    onnx.save(made, source)
    program.run("convert", source, "-o", out)
    x = GENERATOR.standard_normal((2, 4)).astype(np.float32)
    codes = GENERATOR.integers(0, 256, (4, 2)).astype(np.uint8)
    want = run_onnxruntime(source, {"x": x, "codes": codes}, ["y", "wide", "given"])
    got = run_program(program, [out], {"x": x, "codes": codes.astype(np.int32)},
                      ["y", "wide", "given"], tmp_path)
    assert error(want[:1], got[:1]) < 2e-6
    np.testing.assert_array_equal(got[1], want[1])
    np.testing.assert_array_equal(got[2], want[2].astype(got[2].dtype))
    assert got[2].dtype == (np.int32 if kind == "mlpackage" else np.float32)


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
def test_biases_of_32_bits(program, tmp_path, kind):
    """As an input: constants are numbers already."""
    pytest.importorskip("coremltools")
    graph = helper.make_graph(
        [node("DequantizeLinear", ["b", "s"], ["y"])], "g",
        [helper.make_tensor_value_info("b", TensorProto.INT32, [3])],
        [helper.make_tensor_value_info("y", 1, [3])],
        [numpy_helper.from_array(np.float32(0.01), "s")])  # fmt: skip
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)],
                                ir_version=10), source)  # fmt: skip
    write(program, source, out)
    inputs = {"b": np.array([-70000, 3, 1 << 22], np.int32)}
    want = run_onnxruntime(source, inputs, ["y"])
    assert error(want, run_program(program, [out], inputs, ["y"], tmp_path)) < 1e-6


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
def test_codes_that_are_computed_with_are_refused(program, tmp_path, kind):
    """They wrap around."""
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    weights = {"s": np.float32(0.05), "z": np.asarray(7, np.uint8)}
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"], name="codes"),
             node("Add", ["q", "q"], ["y"], name="sum")]  # fmt: skip
    save(source, nodes, [2, 3], [2, 3], weights, TensorProto.UINT8)
    said = write(program, source, out, code=1)
    assert '"codes" (quantize)' in said and '"sum" (add)' in said and not out.exists()


# ---- products of codes --------------------------------------------------------------------------

U8, I8 = np.uint8, np.int8
NUMBERS = np.random.default_rng(11)


def codes(kind, *shape):
    info = np.iinfo(kind)
    return NUMBERS.integers(info.min, info.max + 1, shape).astype(kind)


def integer_file(path, op, a, b, a_zero, b_zero, **attributes):
    """With the weight in the file, and the sums as numbers."""
    kinds = {np.dtype(U8): TensorProto.UINT8, np.dtype(I8): TensorProto.INT8}
    weights = {n: v for n, v in (("b", b), ("az", a_zero), ("bz", b_zero)) if v is not None}
    inputs = ["a", "b", "az" if a_zero is not None else "", "bz" if b_zero is not None else ""]
    graph = helper.make_graph(
        [node(op, inputs, ["sums"], name="product", **attributes),
         node("Cast", ["sums"], ["y"], to=1)], "g",
        [helper.make_tensor_value_info("a", kinds[a.dtype], a.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(v, n) for n, v in weights.items()])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), path)  # fmt: skip


INTEGERS = {
    "matrices": ("MatMulInteger", codes(U8, 5, 9), codes(I8, 9, 4), U8(130), I8(-3), {}),
    "without zero points": ("MatMulInteger", codes(I8, 5, 9), codes(I8, 9, 4), None, None, {}),
    "columns": ("MatMulInteger", codes(U8, 2, 5, 9), codes(U8, 9, 4), U8(0), codes(U8, 4), {}),
    "rows": ("MatMulInteger", codes(U8, 5, 9), codes(U8, 9, 4), codes(U8, 5), U8(255), {}),
    "largest": ("MatMulInteger", np.full((2, 258), 255, U8), np.full((258, 2), 255, U8), None,
                None, {}),
    "image": ("ConvInteger", codes(U8, 1, 3, 6, 7), codes(I8, 4, 3, 3, 3), U8(7), None,
              {"pads": [1, 1, 1, 1], "strides": [2, 1]}),
    "groups": ("ConvInteger", codes(U8, 1, 4, 6, 7), codes(U8, 4, 2, 3, 3), U8(200), U8(9),
               {"group": 2}),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
@pytest.mark.parametrize("name", INTEGERS)
def test_products_of_codes(program, tmp_path, kind, name):
    """To the last digit."""
    pytest.importorskip("coremltools")
    op, a, b, a_zero, b_zero, attributes = INTEGERS[name]
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    integer_file(source, op, a, b, a_zero, b_zero, **attributes)
    write(program, source, out)
    wide = [v.astype(np.int64) if v is not None else 0 for v in (a, a_zero, b, b_zero)]
    (got,) = run_program(program, [out], {"a": a.astype(np.int32)}, ["y"], tmp_path)
    if op == "MatMulInteger":
        rows = wide[1].reshape(-1, 1) if np.size(wide[1]) > 1 else wide[1]
        np.testing.assert_array_equal(got, (wide[0] - rows) @ (wide[2] - wide[3]))
    else:
        (want,) = run_program(program, [source], {"a": a}, ["y"], tmp_path)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
def test_products_of_codes_that_floats_cannot_add(program, tmp_path, kind):
    """What the weights make the largest sum decides, and not how many there are. A package adds two
    parts in whole numbers."""
    small, large = np.full((600, 2), 1, U8), np.full((600, 2), 255, U8)
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    integer_file(source, "MatMulInteger", codes(U8, 1, 600), small, None, None)
    write(program, source, out)
    most = large if kind == "mlmodel" else np.full((5000, 2), 255, U8)
    integer_file(source, "MatMulInteger", codes(U8, 1, len(most)), most, None, None)
    said = write(program, source, out, code=1)
    assert 'cannot hold 1 of the nodes: "product" (integer_matmul): its sums of products' in said


def whole_file(path, op, a, b, weight=True, **attributes):
    """Sums as they are, of a weight in the file or of one that is an input."""
    value = helper.make_tensor_value_info
    ports = [value("a", TensorProto.UINT8, a.shape), value("b", TensorProto.UINT8, b.shape)]
    graph = helper.make_graph(
        [node(op, ["a", "b"], ["y"], name="product", **attributes)], "g",
        ports[:1] if weight else ports, [value("y", TensorProto.INT32, None)],
        [numpy_helper.from_array(b, "b")] if weight else [])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), path)  # fmt: skip


@pytest.mark.parametrize("case", ["weights", "inputs", "image"])
def test_large_sums_are_whole_numbers_of_a_package(program, tmp_path, case):
    pytest.importorskip("coremltools")
    rng = np.random.default_rng(2)
    source, out = tmp_path / "in.onnx", tmp_path / "out.mlpackage"
    depth = 4000
    a, b = rng.integers(200, 256, (3, depth)).astype(U8), rng.integers(0, 256, (depth, 5))
    b = b.astype(U8)
    if case == "image":
        a, b = a.reshape(3, 40, 10, 10)[:1], b[: 40 * 9 * 4].reshape(-1)[: 5 * 360]
        b = np.maximum(b, 225).reshape(5, 40, 3, 3)
        whole_file(source, "ConvInteger", a, b)
    else:
        whole_file(source, "MatMulInteger", a, b, weight=case == "weights")
    program.run("convert", source, "-o", out)
    inputs = {"a": a} if case != "inputs" else {"a": a, "b": b}
    (want,) = run_onnxruntime(source, inputs, ["y"])
    (got,) = run_program(program, [out], {n: x.astype(np.int32) for n, x in inputs.items()},
                         ["y"], tmp_path)  # fmt: skip
    assert want.max() > 1 << 24
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
@pytest.mark.parametrize("computed", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scales_of_blocks(program, tmp_path, kind, computed, axis):
    """Of an axis, three places each, and fewer at the end; of the file, and as the run tells."""
    pytest.importorskip("coremltools")
    shape = [4, 7, 5]
    few = [(n + 2) // 3 if i == axis % 3 else n for i, n in enumerate(shape)]
    weights = {"w": (GENERATOR.random(few) / 5 + 0.01).astype(np.float32),
               "z": GENERATOR.integers(0, 200, few).astype(U8)}  # fmt: skip
    first = [node("Abs", ["w"], ["s"])]
    if computed:
        weights["one"] = np.float32(2)
        first = [node("ReduceMax", ["x"], ["m"]), node("Mul", ["w", "m"], ["s"])]
    nodes = [*first, node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=axis, block_size=3),
             node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=axis, block_size=3)]
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    save(source, nodes, shape, shape, weights)
    program.run("convert", source, "-o", out)
    inputs = {"x": GENERATOR.standard_normal(shape).astype(np.float32)}
    want = run_onnxruntime(source, inputs, ["y"], optimise=False)
    assert error(want, run_program(program, [out], inputs, ["y"], tmp_path)) < 2e-6


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
@pytest.mark.parametrize("scale", [1, 0])
def test_networks_that_quantize_as_they_run(program, tmp_path, kind, scale):
    """As ONNX Runtime's quantize_dynamic writes them; also where all numbers are zeros."""
    pytest.importorskip("coremltools")
    source, out = tmp_path / "in.onnx", tmp_path / f"out.{kind}"
    weights = {"w": codes(I8, 20, 6), "wz": np.array(2, I8), "ws": np.float32(0.01),
               "b": NUMBERS.standard_normal(6).astype(np.float32)}  # fmt: skip
    save(source, [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
                  node("MatMulInteger", ["q", "w", "z", "wz"], ["sums"]),
                  node("Cast", ["sums"], ["numbers"], to=1), node("Mul", ["s", "ws"], ["both"]),
                  node("Mul", ["numbers", "both"], ["scaled"]),
                  node("Add", ["scaled", "b"], ["y"])], [3, 20], [3, 6], weights)  # fmt: skip
    program.run("convert", source, "-o", out)
    inputs = {"x": scale * NUMBERS.standard_normal((3, 20)).astype(np.float32)}
    want = run_onnxruntime(source, inputs, ["y"])
    assert error(want, run_program(program, [out], inputs, ["y"], tmp_path)) < 1e-6


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
def test_scales_of_a_run(program, tmp_path, kind):
    """Of one axis: codes and back."""
    pytest.importorskip("coremltools")
    info, source, out = helper.make_tensor_value_info, tmp_path / "in.onnx", tmp_path / f"o.{kind}"
    pairs = [node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=1),
             node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=1)]  # fmt: skip
    graph = helper.make_graph(
        pairs, "g", [info("x", 1, [2, 3, 4]), info("s", 1, [3]), info("z", TensorProto.INT8, [3])],
        [info("y", 1, [2, 3, 4])])  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                ir_version=8), source)  # fmt: skip
    write(program, source, out)
    inputs = {"x": NUMBERS.standard_normal((2, 3, 4)).astype(np.float32),
              "s": np.array([0.1, 0.02, 0.5], np.float32), "z": np.array([-3, 0, 90], I8)}
    want = run_onnxruntime(source, inputs, ["y"])
    inputs["z"] = inputs["z"].astype(np.int32)
    assert error(want, run_program(program, [out], inputs, ["y"], tmp_path)) < 1e-6

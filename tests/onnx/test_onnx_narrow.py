"""Weights of 4 and 2 bits: behind DequantizeLinear, and as ONNX Runtime keeps them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnx_run
from test_onnx_microsoft import Case, check, near, rand

RANGES = {"INT4": (-8, 7), "UINT4": (0, 15), "INT2": (-2, 1), "UINT2": (0, 3)}


def packed(values, bits):
    each = 8 // bits
    flat = np.append(values.reshape(-1), np.zeros(-values.size % each, int)) & ((1 << bits) - 1)
    shifts = np.arange(each) * bits
    return (flat.reshape(-1, each) << shifts).sum(1).astype(np.uint8)


def tensor(name, element, values, how="raw"):
    proto = TensorProto(name=name, data_type=getattr(TensorProto, element), dims=values.shape)
    data = packed(values, int(element[-1]))
    if how == "raw":
        proto.raw_data = data.tobytes()
    else:
        proto.int32_data.extend(data.tolist())
    return proto


def draw(element, *shape, seed=0):
    low, high = RANGES[element]
    return np.random.default_rng([seed, *shape]).integers(low, high + 1, shape)


def dequantized(element, shape, scale, zero, how="raw", via=None, constant=False, **attributes):
    """x + DequantizeLinear(weight), and the weight's numbers."""
    q = draw(element, *shape)
    tensors = [tensor("q", element, q, how)]
    if zero is not None:
        tensors.append(tensor("z", element, zero, how))
    nodes = []
    if constant:
        nodes = [helper.make_node("Constant", [], [t.name], value=t) for t in tensors]
        tensors = []
    name = "q"
    for i, (op, more) in enumerate(via or []):
        nodes.append(helper.make_node(op, [name], [f"q{i}"], **more))
        name = f"q{i}"
    nodes.append(helper.make_node("DequantizeLinear", [name, "s"] + ["z"] * (zero is not None),
                                  ["w"], **attributes))
    nodes.append(helper.make_node("Add", ["x", "w"], ["y"]))
    made = onnx_run.model(nodes, {"x": np.zeros((), np.float32)}, {"y": 1}, 25, {"s": scale})
    made.graph.initializer.extend(tensors)
    made.ir_version = 13
    return made, q


def run(program, folder, made):
    (y,) = onnx_run.run(program, folder, made, {"x": np.zeros((), np.float32)})
    return y


@pytest.mark.parametrize("element", RANGES)
@pytest.mark.parametrize("how", ["raw", "int32"])
@pytest.mark.parametrize("constant", [False, True])
def test_dequantize(program, tmp_path, element, how, constant):
    """Of an odd count; one scale, one a row, and one a block whose last is not whole."""
    for shape in ((3, 5), (1,), (7,), (2, 3, 3)):
        made, q = dequantized(element, shape, np.float32(0.5), None, how, constant=constant)
        np.testing.assert_array_equal(run(program, tmp_path, made), q * np.float32(0.5))
    scale, zero = rand(3), draw(element, 3, seed=1)
    made, q = dequantized(element, (3, 5), scale, zero, how, constant=constant, axis=0)
    want = (q - zero[:, None]) * scale[:, None]
    np.testing.assert_array_equal(run(program, tmp_path, made), want.astype(np.float32))
    scale, zero = rand(5, 3), draw(element, 5, 3, seed=1)
    made, q = dequantized(element, (5, 11), scale, zero, how, constant=constant, axis=1,
                          block_size=4)
    want = (q - zero.repeat(4, 1)[:, :11]) * scale.repeat(4, 1)[:, :11]
    np.testing.assert_array_equal(run(program, tmp_path, made), want.astype(np.float32))


@pytest.mark.parametrize("element", ["INT4", "UINT4"])
def test_against_onnxruntime(program, tmp_path, element):
    scale, zero = rand(4, 6), draw(element, 4, 6, seed=2)
    made, _ = dequantized(element, (32, 6), scale, zero, axis=0, block_size=8)
    made.opset_import[0].version, made.ir_version = 21, 10
    (want,) = onnx_run.run_onnxruntime(made, {"x": np.zeros((), np.float32)})
    np.testing.assert_array_equal(run(program, tmp_path, made), want)


def test_on_the_way(program, tmp_path):
    """Moved before they are numbers; also in functions and branches."""
    via = [("Transpose", {"perm": [1, 0]}), ("Identity", {})]
    made, q = dequantized("INT4", (3, 5), np.float32(2), None, via=via)
    np.testing.assert_array_equal(run(program, tmp_path, made), q.T * 2)
    body = [helper.make_node("Transpose", ["a"], ["b"])]
    made.functions.append(helper.make_function("mine", "F", ["a"], ["b"], body,
                                               [helper.make_opsetid("", 25)]))
    made.opset_import.append(helper.make_opsetid("mine", 1))
    made.graph.node[0].op_type, made.graph.node[0].domain = "F", "mine"
    del made.graph.node[0].attribute[:]
    np.testing.assert_array_equal(run(program, tmp_path, made), q.T * 2)
    made.graph.node[2].op_type = "Neg"
    del made.graph.node[2].input[1:]
    with pytest.raises(AssertionError, match="Neg .*input 0 has elements of fewer than 8 bits"):
        run(program, tmp_path, made)


def test_refused_elsewhere(program, tmp_path):
    made, _ = dequantized("INT4", (3, 5), np.float32(2), None)
    x = made.graph.node[0].output[0]
    for op, inputs in (("Add", ["q", "q"]), ("QuantizeLinear", ["x", "s", "q"]),
                       ("CastLike", ["x", "q"])):
        other = onnx.ModelProto()
        other.CopyFrom(made)
        other.graph.node[0].CopyFrom(helper.make_node(op, inputs, [x]))
        with pytest.raises(AssertionError, match=f"{op} .*has elements of fewer than 8 bits"):
            run(program, tmp_path, other)
    other = onnx.ModelProto()
    other.CopyFrom(made)
    del other.graph.node[:]
    other.graph.node.append(helper.make_node("Identity", ["q"], ["y"]))
    with pytest.raises(AssertionError, match='output "y" has elements of fewer than 8 bits'):
        run(program, tmp_path, other)


def test_damaged(program, tmp_path):
    for data, part in ((bytes(7), "has 7 bytes and needs 8"), (bytes(9), "has 9 bytes")):
        made, _ = dequantized("UINT4", (3, 5), np.float32(2), None)
        next(t for t in made.graph.initializer if t.name == "q").raw_data = data
        with pytest.raises(AssertionError, match=part):
            run(program, tmp_path, made)


# ---- as ONNX Runtime keeps them ------------------------------------------------------------------


def blocks():
    for bits in (2, 4, 8):
        for k, block in ((64, 32), (40, 16), (128, 128)):
            n, count = 5, -(-k // block)
            rng = np.random.default_rng([bits, k])
            b = rng.integers(0, 256, (n, count, block * bits // 8)).astype(np.uint8)
            zero = rng.integers(0, 256, (n, -(-count * bits // 8))).astype(np.uint8)
            scale, x = np.abs(rand(n, count)) + 0.1, rand(2, 3, k)
            sizes = {"K": k, "N": n, "bits": bits, "block_size": block}
            label = f"{bits} bits {k}"
            yield Case("MatMulNBits", [x, b, scale, zero], name=label, **sizes)
            yield Case("MatMulNBits", [x, b, scale, None, None, rand(n)], name=f"{label} bias",
                       **sizes)
            if bits == 4:
                numbers = rng.integers(0, 64, (n, count)).astype(np.float32) / 4
                yield Case("MatMulNBits", [x, b, scale, numbers], name=f"{label} numbers", **sizes)
                yield Case("MatMulNBits", [x, b, scale.reshape(-1), zero.reshape(-1)],
                           name=f"{label} flat", **sizes)


BLOCKS = list(blocks())


@pytest.mark.parametrize("case", BLOCKS, ids=[case.name for case in BLOCKS])
def test_blocks(program, tmp_path, case):
    check(program, tmp_path, case, near, constants=[True])


def test_rows_of_blocks(program, tmp_path):
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 9, (2, 3))
    table, zero = (rng.integers(0, 256, shape).astype(np.uint8) for shape in ((9, 32), (9, 2)))
    attributes = {"block_size": 16, "gather_axis": 0, "quantize_axis": 1, "bits": 4}
    for zeros in ([zero], []):
        case = Case("GatherBlockQuantized", [table, ids, rand(9, 4), *zeros], **attributes)
        made, _ = case.make(True, "known")
        del made.graph.input[:]
        held = [t for t in made.graph.initializer if t.name != "i1"]
        table_in = onnx.numpy_helper.from_array(table, "i0")
        del made.graph.initializer[:]
        made.graph.initializer.extend([*held, table_in])
        made.graph.input.append(helper.make_tensor_value_info("i1", TensorProto.INT64, [2, 3]))
        (want,) = onnx_run.run_onnxruntime(made, {"i1": ids})
        (got,) = onnx_run.run(program, tmp_path, made, {"i1": ids})
        near(got, want)


@pytest.mark.parametrize("change", [
    {"N": 6}, {"K": 96}, {"K": 2**40}, {"block_size": 0}, {"bits": 3}, {"block_size": 17}, {"N": 0},
    {"N": -5}, {"N": 2**31 - 1}])
def test_sizes_that_do_not_fit(program, tmp_path, change):
    case = next(c for c in BLOCKS if c.name == "MatMulNBits-4 bits 64")
    case = Case(case.op, case.inputs, **{**case.attributes, **change})
    made, given = case.make(True, "known")
    with pytest.raises(AssertionError, match="cannot be run: com.microsoft.MatMulNBits"):
        onnx_run.run(program, tmp_path, made, given)

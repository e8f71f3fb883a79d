"""Attention in the forms of ONNX Runtime's own domain."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import onnx_run
from test_onnx_microsoft import Case, check, near, rand

B, L, H, D = 2, 5, 3, 4
W = H * D


def mask_of(*shape):
    mask = np.random.default_rng(3).integers(0, 2, shape).astype(np.int32)
    mask[..., 0] = 1  # a query sees something
    return mask


def side_by_side():
    x, w, b = rand(B, L, 7), rand(7, 3 * W) / 2, rand(3 * W, seed=1)
    op = "Attention"
    yield Case(op, [x, w, b], num_heads=H)
    yield Case(op, [x, w, b], name="causal", num_heads=H, unidirectional=1, scale=0.3)
    yield Case(op, [x, w, b, mask_of(B, L)], name="mask 2", num_heads=H)
    yield Case(op, [x, w, b, mask_of(B, L, L)], name="mask 3", num_heads=H)
    yield Case(op, [x, w, b, np.array([3, 5], np.int32)], name="mask 1", num_heads=H)
    yield Case(op, [x, w, b, mask_of(B, L)], name="filter", num_heads=H, mask_filter_value=-2.5)
    yield Case(op, [x, w, b, None, None, rand(B, H, L, L)], name="added", num_heads=H)
    yield Case(op, [x, w, b, mask_of(B, L), None, rand(1, H, L, L)], name="both", num_heads=H)
    yield Case(op, [x, rand(7, 2 * W + 6), rand(2 * W + 6)], name="sizes", num_heads=H,
               qkv_hidden_sizes=[W, W, 6])
    past = rand(2, B, H, 4, D)
    for way in (0, 1):
        yield Case(op, [x, w, b, None, past], 2, name=f"past {way}", num_heads=H,
                   unidirectional=way)
    yield Case(op, [x, w, b, mask_of(B, L + 4), past], 2, name="past mask", num_heads=H)


def quantized():
    rng = np.random.default_rng(6)
    x = rng.integers(0, 256, (B, L, 7)).astype(np.uint8)
    w = rng.integers(-128, 128, (7, 3 * W)).astype(np.int8)
    scales = [np.array(0.02, np.float32), np.array(0.007, np.float32)]
    zeros = [np.array(120, np.uint8), np.array(3, np.int8)]
    op, b = "QAttention", rand(3 * W, seed=1)
    yield Case(op, [x, w, b, *scales, None, *zeros], num_heads=H)
    yield Case(op, [x, w, b, *scales, mask_of(B, L), *zeros], name="mask", num_heads=H)
    yield Case(op, [x, w, b, *scales, None, *zeros, rand(2, B, H, 4, D)], 2, name="past",
               num_heads=H, unidirectional=1)
    each = np.abs(rand(3 * W)) / 100
    yield Case(op, [x, w, b, scales[0], each, None, zeros[0], np.zeros(3 * W, np.int8)],
               name="columns", num_heads=H)


def three():
    q, k, v = rand(B, L, W), rand(B, 6, W), rand(B, 6, W, seed=1)
    op, bias = "MultiHeadAttention", rand(3 * W)
    yield Case(op, [q, k, v], num_heads=H)
    yield Case(op, [q, k, v, bias], name="bias", num_heads=H, scale=0.4)
    yield Case(op, [q, k, rand(B, 6, 9), rand(2 * W + 9)], name="wide", num_heads=H)
    yield Case(op, [q, k, v, None, mask_of(B, 6)], name="mask 2", num_heads=H)
    yield Case(op, [q, k, v, bias, None, rand(1, H, L, 6)], name="added", num_heads=H)
    yield Case(op, [q, k, v, None, mask_of(B, 6), rand(B, 1, L, 6)], name="both", num_heads=H)
    yield Case(op, [q, rand(B, H, 6, D), rand(B, H, 6, D, seed=1)], name="heads first", num_heads=H)
    yield Case(op, [q, q * 0.5, q - 1, bias], 3, name="causal", num_heads=H, unidirectional=1)
    past = [rand(B, H, 4, D), rand(B, H, 4, D, seed=2)]
    yield Case(op, [q, q * 0.5, q - 1, bias, None, None, *past], 3, name="past", num_heads=H)
    yield Case(op, [q, q * 0.5, q - 1, None, mask_of(B, L + 4), None, *past], 3, name="past mask",
               num_heads=H, unidirectional=1)


def rotated():
    op, tables = "RotaryEmbedding", [rand(9, D // 2), rand(9, D // 2, seed=1)]
    places = np.random.default_rng(1).integers(0, 9, (B, L))
    for interleaved in (0, 1):
        label = {"name": interleaved, "interleaved": interleaved}
        yield Case(op, [rand(B, L, W), places, *tables], **label)
        yield Case(op, [rand(B, H, L, D), places, *tables], **{**label, "name": f"4 {interleaved}"})
    yield Case(op, [rand(B, L, W), np.array([3]), *tables], name="from 3")
    yield Case(op, [rand(B, H, L, D), np.array([0]), *tables], name="4 from 0")
    yield Case(op, [rand(B, L, H * 8), places, *tables], name="part", num_heads=H,
               rotary_embedding_dim=D)


CASES = [*side_by_side(), *quantized(), *three(), *rotated()]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_attention(program, tmp_path, case):
    check(program, tmp_path, case, near, shapes=["known"])
    if case.op == "MultiHeadAttention":
        check(program, tmp_path, case, near, shapes=["sizes unknown"])


def test_halves(program, tmp_path):
    """Computed in f32 and rounded once: nearer to f32 than ONNX Runtime's halves."""
    case = next(c for c in CASES if c.name == "MultiHeadAttention-bias")
    made, given = case.make(False, "known")
    (want,) = onnx_run.run_onnxruntime(made, given)
    halves = Case(case.op, [v.astype(np.float16) for v in case.inputs], **case.attributes)
    (got,) = onnx_run.run(program, tmp_path, *halves.make(False, "known"))
    assert got.dtype == np.float16
    np.testing.assert_allclose(got, want, atol=2e-2)


@pytest.mark.parametrize("change,part", [
    ({"num_heads": 0}, "0 heads"), ({"num_heads": 5}, "do not fit"), ({"do_rotary": 1}, "rotation"),
    ({"qkv_hidden_sizes": [W, W, W + 1]}, "three projections"),
    ({"qkv_hidden_sizes": [W, -W, 3 * W]}, "three projections"),
    ({"past_present_share_buffer": 1}, "buffers")])
def test_what_does_not_fit(program, tmp_path, change, part):
    case = Case("Attention", [rand(B, L, 7), rand(7, 3 * W), rand(3 * W)],
                **({"num_heads": H} | change))
    made, given = case.make(True, "known")
    with pytest.raises(AssertionError, match=part):
        onnx_run.run(program, tmp_path, made, given)


def encoder(rng, width=16, heads=4):
    """A layer of BERT as it is exported at opset 12: norms and Gelu in pieces."""
    nodes, held = [], {}

    def constant(array):
        held[f"w{len(held)}"] = np.asarray(array)
        return f"w{len(held) - 1}"

    def node(op, *inputs, **attributes):
        names = [i if isinstance(i, str) else constant(i) for i in inputs]
        nodes.append(helper.make_node(op, names, [f"v{len(nodes)}"], **attributes))
        return f"v{len(nodes) - 1}"

    def weight(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    def norm(x):
        d = node("Sub", x, node("ReduceMean", x, axes=[-1]))
        var = node("ReduceMean", node("Pow", d, np.float32(2)), axes=[-1])
        y = node("Div", d, node("Sqrt", node("Add", var, np.float32(1e-5))))
        return node("Add", node("Mul", y, weight(width) + 1), weight(width))

    def dense(x, columns, rows=width):
        return node("Add", node("MatMul", x, weight(rows, columns)), weight(columns))

    def split(x, perm):
        return node("Transpose", node("Reshape", x, np.array([0, 0, heads, width // heads])),
                    perm=perm)

    x = norm(node("Gather", weight(11, width), "x"))
    q, k, v = (split(dense(x, width), perm)
               for perm in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]))
    scores = node("Div", node("MatMul", q, k), np.float32(2))
    y = node("MatMul", node("Softmax", scores, axis=3), v)
    y = node("Reshape", node("Transpose", y, perm=[0, 2, 1, 3]), np.array([0, 0, width]))
    x = norm(node("Add", dense(y, width), x))
    h = dense(x, 32)
    erf = node("Add", node("Erf", node("Div", h, np.float32(np.sqrt(2)))), np.float32(1))
    h = node("Mul", node("Mul", h, erf), np.float32(0.5))
    x = norm(node("Add", dense(h, width, 32), x))
    nodes.append(helper.make_node("Identity", [x], ["y"]))
    ids = rng.integers(0, 11, (2, 6))
    return onnx_run.model(nodes, {"x": ids}, {"y": TensorProto.FLOAT}, 12, held), ids


def test_optimised_encoder(program, tmp_path):
    from test_onnx_tools import LEVELS, optimised, ours

    made, ids = encoder(np.random.default_rng(4))
    (want,) = onnx_run.run_onnxruntime(made, {"x": ids})
    made = optimised(tmp_path, made, LEVELS.ORT_ENABLE_ALL)
    assert {"SkipLayerNormalization", "FusedMatMul", "Gelu"} <= ours(made)
    (y,) = onnx_run.run(program, tmp_path, made, {"x": ids})
    np.testing.assert_allclose(y, want, atol=1e-5)

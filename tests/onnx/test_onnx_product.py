"""Matrix products, quantization and recurrent layers of ONNX against NumPy in double, integer
arithmetic and ONNX Runtime, with shapes that the file tells, tells in part, or does not tell."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import onnx_run

FLOAT, DOUBLE, INT64, INT32 = (
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.INT64,
    TensorProto.INT32,
)
# A sum of n products of numbers of size 1 in fp32 errs by less than n roundings of it.
EPSILON = np.finfo(np.float32).eps


def random(*shape, seed=1, dtype=np.float32):
    values = np.random.default_rng(seed).uniform(-1, 1, shape)
    return values.astype(dtype) if np.dtype(dtype).kind == "f" else (9 * values).astype(dtype)


MATMULS = [
    ((5,), (5,)),
    ((5,), (3, 5, 2)),
    ((2, 3, 5), (5,)),
    ((4, 7), (7, 9)),
    ((2, 1, 4, 7), (3, 7, 33)),
    ((0, 4), (4, 3)),
    ((3, 0), (0, 2)),
    ((3, 4), (4, 0)),
    ((0, 2, 3), (3, 5)),
]


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint64])
@pytest.mark.parametrize("a,b", MATMULS)
@pytest.mark.parametrize("constant", [False, True])
def test_matmul(program, tmp_path, a, b, dtype, shapes, constant):
    x, w = random(*a, dtype=dtype), random(*b, seed=2, dtype=dtype)
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    inputs, constants = ({"x": x}, {"w": w}) if constant else ({"x": x, "w": w}, {})
    made = onnx_run.model(
        [node], inputs, {"y": helper.np_dtype_to_tensor_dtype(x.dtype)}, 13, constants, shapes
    )
    (y,) = onnx_run.run(program, tmp_path, made, inputs)
    if np.dtype(dtype).kind == "f":
        want = np.matmul(x.astype(np.float64), w.astype(np.float64))
        np.testing.assert_allclose(y, want, rtol=0, atol=40 * np.finfo(dtype).eps)
    else:
        np.testing.assert_array_equal(y, np.matmul(x, w))
    assert y.dtype == dtype


@pytest.mark.parametrize("turn", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("c", [None, (5,), (1, 5), (3, 1), (), (3, 5)])
@pytest.mark.parametrize("constant", [False, True])
def test_gemm(program, tmp_path, turn, c, constant):
    a = random(*((4, 3) if turn[0] else (3, 4)))
    b = random(*((5, 4) if turn[1] else (4, 5)), seed=2)
    given = {"a": a, "b": b}
    if c is not None:
        given["c"] = random(*c, seed=3)
    node = helper.make_node(
        "Gemm", list(given), ["y"], alpha=0.7, beta=1.3, transA=turn[0], transB=turn[1]
    )
    inputs = {"a": a} if constant else given
    constants = {k: v for k, v in given.items() if k != "a"} if constant else {}
    made = onnx_run.model([node], inputs, {"y": FLOAT}, 13, constants)
    (y,) = onnx_run.run(program, tmp_path, made, inputs)
    a, b = (a.T if turn[0] else a).astype(np.float64), (b.T if turn[1] else b).astype(np.float64)
    want = np.float32(0.7) * (a @ b)
    if c is not None:
        want = want + np.float64(np.float32(1.3)) * given["c"]
    np.testing.assert_allclose(y, want, rtol=0, atol=20 * EPSILON)


@pytest.mark.parametrize("turn", [0, 1])
def test_gemm_of_a_turned_matrix_is_packed(program, tmp_path, turn):
    """A constant matrix is packed once, however the other one lies, and its sums are fused."""
    a, b = random(7, 5), random(*((6, 7), (7, 6))[1 - turn], seed=2)
    c, more = random(6), random(5, 6)
    nodes = [helper.make_node("Gemm", ["a", "b", "c"], ["g"], alpha=0.5, transA=1, transB=turn),
             helper.make_node("Add", ["g", "more"], ["sum"]),
             helper.make_node("Relu", ["sum"], ["y"])]  # fmt: skip
    inputs = {"a": a, "more": more}
    made = onnx_run.model(nodes, inputs, {"y": FLOAT}, 13, {"b": b, "c": c})
    (y,) = onnx_run.run(program, tmp_path, made, inputs)
    want = 0.5 * (a.T.astype(np.float64) @ (b.T if turn else b)) + c + more
    np.testing.assert_allclose(y, np.maximum(want, 0), rtol=0, atol=20 * EPSILON)
    told = program.run("exec", tmp_path / "model.onnx", "--input", f"a={tmp_path}/in-0.npy",
                       "--input", f"more={tmp_path}/in-1.npy", "--output",
                       f"y={tmp_path}/out.npy", "--profile").stderr  # fmt: skip
    assert "packed-gemm" in told and "all 1 nodes" in told, told


EINSUMS = [
    ("ij,jk", [(3, 4), (4, 5)]),
    ("bhqd,bhkd->bhqk", [(2, 3, 5, 7), (2, 3, 4, 7)]),
    ("...ii->...i", [(2, 3, 4, 4)]),
    ("ii", [(4, 4)]),
    ("i,j,k->kji", [(2,), (3,), (4,)]),
    ("ij->", [(3, 4)]),
    ("...ij,...jk->...ik", [(2, 1, 3, 4), (5, 4, 2)]),
    ("abc,cd,de->ea", [(2, 3, 4), (4, 5), (5, 6)]),
    ("ij,ij->ji", [(3, 4), (3, 4)]),
    ("ij,k->ik", [(3, 4), (5,)]),
    ("Ab , bA -> A", [(3, 4), (4, 3)]),
    ("ij,jk->ik", [(0, 4), (4, 5)]),
    ("ij,jk->ik", [(3, 0), (0, 5)]),
]


@pytest.mark.parametrize("equation,dims", EINSUMS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
def test_einsum(program, tmp_path, equation, dims, dtype, shapes):
    inputs = {f"x{i}": random(*d, seed=i, dtype=dtype) for i, d in enumerate(dims)}
    node = helper.make_node("Einsum", list(inputs), ["y"], equation=equation)
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    made = onnx_run.model([node], inputs, {"y": element}, 13, shapes=shapes)
    (y,) = onnx_run.run(program, tmp_path, made, inputs)
    exact = np.float64 if np.dtype(dtype).kind == "f" else dtype
    want = np.einsum(equation.replace(" ", ""), *(x.astype(exact) for x in inputs.values()))
    tolerance = 40 * np.finfo(dtype).eps if np.dtype(dtype).kind == "f" else 0
    np.testing.assert_allclose(y, want, rtol=0, atol=tolerance)
    assert y.shape == want.shape


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 0, 5, 5), (7, 6, 6), (0, 0)])
def test_det(program, tmp_path, shape):
    x = random(*shape, dtype=np.float64)
    if x.ndim == 3:
        x[1, 2] = x[1, 3]  # singular
    made = onnx_run.model([helper.make_node("Det", ["x"], ["y"])], {"x": x}, {"y": DOUBLE}, 22)
    (y,) = onnx_run.run(program, tmp_path, made, {"x": x})
    np.testing.assert_allclose(y, np.linalg.det(x), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("types", [(np.uint8, np.int8), (np.int8, np.int8), (np.uint8, np.uint8)])
@pytest.mark.parametrize("a,b,zeros", [
    ((3, 700), (700, 37), ((), ())),
    ((3, 5), (5, 4), ((3,), (4,))),
    ((2, 3, 5), (2, 5, 4), ((2, 3, 1), (2, 1, 4))),
    ((2, 3, 3, 5), (5, 4), ((), ())),
    ((5,), (5,), (None, ())),
    ((0, 5), (5, 4), ((), None)),
])
def test_matmul_integer(program, tmp_path, types, a, b, zeros):
    generator = np.random.default_rng(5)

    def numbers(shape, dtype):
        limits = np.iinfo(dtype)
        return generator.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)

    inputs = {"a": numbers(a, types[0]), "b": numbers(b, types[1])}
    names, wide = ["a", "b"], [inputs["a"].astype(np.int64), inputs["b"].astype(np.int64)]
    inputs["a"].reshape(-1)[: min(3, inputs["a"].size)] = np.iinfo(types[0]).max
    wide[0] = inputs["a"].astype(np.int64)
    for k, zero in enumerate(zeros):
        names.append("" if zero is None else f"z{k}")
        if zero is None:
            continue
        inputs[f"z{k}"] = np.asarray(numbers(zero, types[k]))
        shift = inputs[f"z{k}"].astype(np.int64)
        wide[k] = wide[k] - (shift[:, None] if k == 0 and shift.ndim == 1 else shift)
    made = onnx_run.model([helper.make_node("MatMulInteger", names, ["y"])], inputs, {"y": INT32})
    (y,) = onnx_run.run(program, tmp_path, made, inputs)
    np.testing.assert_array_equal(y, np.matmul(*wide))


CONVS = [
    ((2, 3, 9, 8), (4, 3, 3, 3), {}),
    ((1, 40, 7, 7), (5, 40, 3, 3), {"pads": [1, 0, 2, 1], "strides": [2, 1]}),
    ((2, 4, 6, 6), (8, 2, 2, 3), {"group": 2, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    ((1, 2, 7, 5), (3, 2, 3, 2), {"auto_pad": "SAME_LOWER"}),
    ((1, 2, 9, 5), (3, 2, 3, 2), {"pads": [2, 1, 2, 0], "dilations": [2, 1]}),
]


@pytest.mark.parametrize("x,w,attributes", CONVS)
@pytest.mark.parametrize("shapes", ["known", "sizes unknown"])
def test_conv_integer(program, tmp_path, x, w, attributes, shapes):
    """Exact where ONNX Runtime's float convolution of the differences is: below 2^53."""
    generator = np.random.default_rng(7)
    inputs = {
        "x": generator.integers(0, 255, x, dtype=np.uint8, endpoint=True),
        "w": generator.integers(0, 255, w, dtype=np.uint8, endpoint=True),
        "xz": np.asarray(250, dtype=np.uint8),
        "wz": generator.integers(0, 255, w[:1], dtype=np.uint8, endpoint=True),
    }
    constants = {k: inputs.pop(k) for k in ("w", "wz")}
    node = helper.make_node("ConvInteger", ["x", "w", "xz", "wz"], ["y"], **attributes)
    made = onnx_run.model([node], inputs, {"y": INT32}, 10, constants, shapes)
    (y,) = onnx_run.run(program, tmp_path, made, inputs)
    wide = {
        "x": inputs["x"].astype(np.float32) - 250,
        "w": constants["w"].astype(np.float32) - constants["wz"][:, None, None, None],
    }
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    (want,) = onnx_run.run_onnxruntime(onnx_run.model([node], wide, {"y": FLOAT}, 11), wide)
    assert np.abs(want).max() < 2**24
    np.testing.assert_array_equal(y, want.astype(np.int32))


def test_conv_integer_sums_beyond_floats(program, tmp_path):
    """300 channels of the largest differences: their sum is odd and does not fit 24 bits."""
    x, w = np.full((1, 300, 1, 1), 255, np.uint8), np.full((1, 300, 1, 1), 255, np.uint8)
    x[0, 0] = 254
    w[0, 0] = 1
    made = onnx_run.model(
        [helper.make_node("ConvInteger", ["x", "w"], ["y"])], {"x": x, "w": w}, {"y": INT32}, 10
    )
    (y,) = onnx_run.run(program, tmp_path, made, {"x": x, "w": w})
    assert y.item() == 299 * 255 * 255 + 254


QUANTIZED = [
    ((), {}, (3, 4, 5)),
    ((4,), {"axis": 1}, (3, 4, 5)),
    ((5,), {"axis": -1}, (3, 4, 5)),
    ((3, 2, 5), {"axis": 1, "block_size": 3}, (3, 4, 5)),
    ((3, 4, 3), {"axis": 2, "block_size": 2}, (3, 4, 5)),
    ((1,), {}, (7,)),
    ((4,), {"axis": 1}, (0, 4)),
]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
@pytest.mark.parametrize("scale,attributes,shape", QUANTIZED)
@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
def test_quantize(program, tmp_path, dtype, scale, attributes, shape, shapes):
    """Both ways; rounding is to even, and what is too large saturates."""
    generator = np.random.default_rng(11)
    limits = np.iinfo(dtype)
    s = generator.choice(np.float32([0.25, 0.5, 1, 3]), scale)
    z = generator.integers(limits.min, limits.max, scale, dtype=dtype, endpoint=True)
    x = np.round(random(*shape, seed=4) * 4 * limits.max) / np.float32(4)
    given = {"x": x, "s": np.asarray(s, np.float32), "z": np.asarray(z)}
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))

    def spread(v):
        v = np.asarray(v, np.float64)
        if v.ndim == len(shape) and v.ndim > 1:
            axis = attributes["axis"]
            repeated = np.repeat(v, attributes["block_size"], axis)
            return np.take(repeated, range(shape[axis]), axis)
        if v.ndim == 1 and v.size > 1:
            return v.reshape([-1 if i == attributes["axis"] % len(shape) else 1
                              for i in range(len(shape))])
        return v

    q = np.rint(np.float32(x) / spread(s)).astype(np.float64) + spread(z)
    want = np.clip(q, limits.min, limits.max).astype(dtype)
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"], **attributes)
    made = onnx_run.model([node], given, {"y": element}, 23, shapes=shapes)
    (y,) = onnx_run.run(program, tmp_path, made, given)
    np.testing.assert_array_equal(y, want)

    given["x"] = want
    node = helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"], **attributes)
    made = onnx_run.model([node], given, {"y": FLOAT}, 23, shapes=shapes)
    (y,) = onnx_run.run(program, tmp_path, made, given)
    exact = (want.astype(np.float64) - spread(z)) * spread(s)
    np.testing.assert_array_equal(y, exact.astype(np.float32))


ALL = ["Affine", "HardSigmoid", "ScaledTanh", "LeakyRelu", "Elu", "Softsign", "Softplus",
       "ThresholdedRelu", "Relu", "Tanh", "Sigmoid"]
RECURRENT = [
    ("LSTM", {}),
    ("LSTM", {"direction": "reverse"}),
    ("LSTM", {"direction": "bidirectional", "layout": 0}),
    ("LSTM", {"direction": "bidirectional", "clip": 0.3}),
    ("LSTM", {"input_forget": 1}),
    ("LSTM", {"activations": ["HardSigmoid", "Elu", "ScaledTanh"],
              "activation_alpha": [0.3, 0.7, 0.8], "activation_beta": [0.4, 0.9]}),
    ("GRU", {}),
    ("GRU", {"linear_before_reset": 1, "direction": "bidirectional"}),
    ("GRU", {"direction": "reverse", "clip": 0.2}),
    ("RNN", {"direction": "bidirectional", "activations": ["Relu", "Softsign"]}),
    # ONNX Runtime's own alpha and beta, where there are none, are not those of the operators.
    *(
        ("RNN", {"activations": [name], "activation_alpha": [0.6], "activation_beta": [0.3]})
        for name in ALL
    ),
]


@pytest.mark.parametrize("kind,attributes", RECURRENT)
@pytest.mark.parametrize("extra", ["plain", "lengths", "states", "peepholes"])
@pytest.mark.parametrize("shapes", ["known", "sizes unknown"])
def test_recurrent(program, tmp_path, kind, attributes, extra, shapes):
    steps, batch, inputs, hidden = 5, 3, 4, 6
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    dirs = 2 if attributes.get("direction") == "bidirectional" else 1
    given = {
        "x": random(steps, batch, inputs),
        "w": random(dirs, gates * hidden, inputs, seed=2),
        "r": random(dirs, gates * hidden, hidden, seed=3),
        "b": random(dirs, 2 * gates * hidden, seed=4),
    }
    names = ["x", "w", "r", "b", "", "", "", ""]
    if extra in ("lengths", "peepholes"):
        given["lengths"] = np.array([5, 0, 3], np.int32)
        names[4] = "lengths"
    if extra in ("states", "peepholes"):
        given["h"] = random(dirs, batch, hidden, seed=5)
        names[5] = "h"
        if kind == "LSTM":
            given["c"] = random(dirs, batch, hidden, seed=6)
            names[6] = "c"
    if extra == "peepholes":
        if kind != "LSTM":
            pytest.skip("only an LSTM has them")
        given["p"] = random(dirs, 3 * hidden, seed=7)
        names[7] = "p"
    while not names[-1]:
        names.pop()
    outputs = {"y": FLOAT, "yh": FLOAT, **({"yc": FLOAT} if kind == "LSTM" else {})}
    node = helper.make_node(kind, names, list(outputs), hidden_size=hidden, **attributes)
    constants = {k: given.pop(k) for k in ("w", "r", "b")}
    made = onnx_run.model([node], given, outputs, 14, constants, shapes)
    got = onnx_run.run(program, tmp_path, made, given)
    for a, b in zip(got, onnx_run.run_onnxruntime(made, given), strict=True):
        # A step passes errors on, never grown by these weights by more than their number.
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("extra", [{}, {"clip": 50.0}])
def test_recurrent_batch_first(program, tmp_path, kind, extra):
    """layout 1 is layout 0 with the axes turned, also of the states."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    given = {"x": random(5, 3, 4), "h": random(2, 3, 6, seed=5)}
    names, outputs = ["x", "w", "r", "", "", "h"], {"y": FLOAT, "yh": FLOAT}
    if kind == "LSTM":
        given["c"] = random(2, 3, 6, seed=6)
        names.append("c")
        outputs["yc"] = FLOAT
    constants = {"w": random(2, gates * 6, 4, seed=2), "r": random(2, gates * 6, 6, seed=3)}
    results = []
    for layout in (0, 1):
        fed = {k: np.ascontiguousarray(v.transpose(1, 0, 2)) if layout else v
               for k, v in given.items()}
        node = helper.make_node(kind, names, list(outputs), hidden_size=6, layout=layout,
                                direction="bidirectional", **extra)
        made = onnx_run.model([node], fed, outputs, 14, constants)
        results.append(onnx_run.run(program, tmp_path, made, fed))
    np.testing.assert_array_equal(results[1][0], results[0][0].transpose(2, 0, 1, 3))
    for first, second in zip(results[0][1:], results[1][1:], strict=True):
        np.testing.assert_array_equal(second, first.transpose(1, 0, 2))

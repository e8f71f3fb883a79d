"""No common operator runs element by element through a wider type: many nodes of each type in one
file, against NumPy, and what the profile says they ran on."""

import numpy as np
import pytest
from onnx import helper

import onnx_run

BINARY = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Max": np.maximum,
          "Min": np.minimum, "Less": np.less, "Equal": np.equal,
          "GreaterOrEqual": np.greater_equal}  # fmt: skip
UNARY = {"Abs": np.abs, "Neg": np.negative, "Relu": lambda x: np.maximum(x, 0)}
FLOATS = {"Sqrt": np.sqrt, "Floor": np.floor, "Ceil": np.ceil, "Round": np.round,
          "Reciprocal": lambda x: 1 / x, "IsNaN": np.isnan, "IsInf": np.isinf}  # fmt: skip
SINGLE = {
    "Log": np.log, "Atan": np.arctan, "Tanh": np.tanh,
    "Softplus": lambda x: np.log1p(np.exp(x)), "Softsign": lambda x: x / (1 + np.abs(x)),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "HardSigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1), "Sign": np.sign,
    "Mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "ThresholdedRelu": lambda x: np.where(x > 1, x, 0), "Erf": None, "Gelu": None, "Elu": None,
    "Selu": None, "Celu": None,
}  # fmt: skip
TYPES = ["float32", "float16", "float64", "int8", "int32", "int64"]
SHAPES = {"same": (4, 5, 6), "number": (1,), "row": (6,), "column": (5, 1)}


def values(dtype, shape, seed):
    return (np.random.default_rng(seed).uniform(1, 9, shape)).astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_nothing_is_widened(program, tmp_path, dtype):
    x = values(dtype, SHAPES["same"], 1)
    inputs = {"x": x} | {name: values(dtype, s, 2) for name, s in SHAPES.items()}
    nodes, wanted = [], []

    def add(op, names, want):
        nodes.append(helper.make_node(op, names, [f"y{len(wanted)}"], name=f"{op}-{len(wanted)}"))
        wanted.append(want)

    wide = "float32" if dtype == "float16" else dtype
    for i, (op, of) in enumerate(BINARY.items()):
        for k, name in enumerate(SHAPES):
            names = ["x", name][:: 1 if (i + k) % 2 else -1]  # either operand is the smaller one
            add(op, names, of(*(inputs[n].astype(wide) for n in names)))
    functions = UNARY | (FLOATS if dtype.startswith("float") else {})
    functions |= SINGLE if dtype in ("float32", "float16") else {}
    for op, of in functions.items():
        add(op, ["x"], of(x.astype(wide)) if of else None)
    kinds = {f"y{i}": np.bool_ if w is not None and w.dtype == bool else np.dtype(dtype)
             for i, w in enumerate(wanted)}  # fmt: skip
    outputs = {n: helper.np_dtype_to_tensor_dtype(np.dtype(k)) for n, k in kinds.items()}
    made = onnx_run.model(nodes, inputs, outputs)
    got = onnx_run.run(program, tmp_path, made, inputs)
    close = {"float32": 1e-6, "float16": 2e-3}.get(dtype, 1e-15)
    for node, y, want in zip(nodes, got, wanted, strict=True):
        if want is not None and y.dtype.kind == "f":
            np.testing.assert_allclose(y, want, rtol=close, atol=close, err_msg=node.name)
        elif want is not None:
            np.testing.assert_array_equal(y, want.astype(y.dtype), err_msg=node.name)
    told = program.run("bench", tmp_path / "model.onnx", "--runs", 1, "--seconds", 0, "--profile")
    rows = [line for line in told.stdout.splitlines() if " binary " in line or " unary " in line]
    assert len(rows) >= len(nodes)
    slow = [line for line in rows if "widened" in line]
    assert not slow, "\n".join(slow)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_graphs_of_halves(program, tmp_path, dtype):
    """A convolution network in f16 is as near to f32 as one rounding of its output."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (1, 3, 12, 12)).astype(dtype)
    w = [rng.uniform(-0.5, 0.5, s).astype(dtype) for s in ((8, 3, 3, 3), (8, 8, 3, 3), (8,))]
    nodes = [
        helper.make_node("Conv", ["x", "w0", "w2"], ["a"], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w1"], ["c"], pads=[1] * 4),
        helper.make_node("Add", ["b", "c"], ["d"]),
        helper.make_node("MaxPool", ["d"], ["e"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("ReduceMean", ["e", "axes"], ["f"]),
        helper.make_node("Softmax", ["f"], ["out"], axis=1),
    ]
    constants = {f"w{i}": v for i, v in enumerate(w)} | {"axes": np.array([2, 3])}
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    made = onnx_run.model(nodes, {"x": x}, {"out": kind}, constants=constants)
    got = onnx_run.run(program, tmp_path, made, {"x": x})[0]
    wide = {n: v.astype("f4") if v.dtype == np.float16 else v for n, v in constants.items()}
    exact = onnx_run.model(nodes, {"x": x.astype("f4")}, {"out": 1}, constants=wide)
    want = onnx_run.run_onnxruntime(exact, {"x": x.astype("f4")})[0]
    assert got.dtype == x.dtype
    np.testing.assert_allclose(got, want, rtol=6e-4 if dtype == "float16" else 1e-5)
    told = program.run("bench", tmp_path / "model.onnx", "--runs", 1, "--seconds", 0, "--profile")
    assert "widened" not in told.stdout


def test_halves_in_bands(program, tmp_path):
    """Between the casts at its ends a graph of halves is one of f32, which a limit cuts."""
    rng = np.random.default_rng(4)
    x = rng.uniform(-1, 1, (1, 3, 256, 256)).astype("f2")
    shapes = ((16, 3, 3, 3), (16, 16, 3, 3), (3, 16, 3, 3))
    w = {f"w{i}": rng.uniform(-0.3, 0.3, s).astype("f2") for i, s in enumerate(shapes)}
    nodes = [helper.make_node("Conv", [f"v{i}" if i else "x", f"w{i}"], [f"v{i + 1}"], pads=[1] * 4)
             for i in range(3)]  # fmt: skip
    made = onnx_run.model(nodes, {"x": x}, {"v3": 10}, constants=w)
    want = onnx_run.run(program, tmp_path, made, {"x": x})[0]
    got = onnx_run.run(program, tmp_path, made, {"x": x}, "--mem-limit", 4)[0]  # whole: 8.4 MB
    np.testing.assert_array_equal(got, want)
    assert got.dtype == x.dtype


@pytest.mark.parametrize("batch", [1, 9])
@pytest.mark.parametrize("op", ["GRU", "GRU-before", "RNN", "LSTM"])
def test_recurrent_layers_go_by_blocks(program, tmp_path, op, batch):
    """Constant weights of f32 with usual functions: no layer goes by sequences in double."""
    op, *before = op.split("-")
    gates, inputs, hidden, steps = {"GRU": 3, "RNN": 1, "LSTM": 4}[op], 5, 19, 6
    rng = np.random.default_rng(5)
    x = rng.uniform(-1, 1, (steps, batch, inputs)).astype("f4")
    h0 = rng.uniform(-1, 1, (2, batch, hidden)).astype("f4")
    shapes = {"w": (2, gates * hidden, inputs), "r": (2, gates * hidden, hidden),
              "b": (2, 2 * gates * hidden)}  # fmt: skip
    constants = {n: rng.uniform(-0.5, 0.5, s).astype("f4") for n, s in shapes.items()}
    functions = {"GRU": ["Sigmoid", "Tanh", "HardSigmoid", "Softsign"], "RNN": ["Tanh", "Relu"],
                 "LSTM": ["Sigmoid", "Tanh", "Tanh"] * 2}[op]  # fmt: skip
    more = {"linear_before_reset": 1} if before else {}
    node = helper.make_node(op, ["x", "w", "r", "b", "", "h0"], ["y", "h"], hidden_size=hidden,
                            direction="bidirectional", activations=functions, **more)  # fmt: skip
    given = {"x": x, "h0": h0}
    made = onnx_run.model([node], given, {"y": 1, "h": 1}, 14, constants)
    made.ir_version = 8
    for threads in (1, 2):
        got = onnx_run.run(program, tmp_path, made, given, "--threads", threads)
        for y, want in zip(got, onnx_run.run_onnxruntime(made, given), strict=True):
            np.testing.assert_allclose(y, want, rtol=1e-5, atol=2e-6)
    told = program.run("bench", tmp_path / "model.onnx", "--runs", 1, "--seconds", 0, "--profile")
    assert ("fused-gates" if op == "LSTM" else " steps ") in told.stdout

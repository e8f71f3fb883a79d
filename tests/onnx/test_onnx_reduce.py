"""Reductions, searches, sorting and running sums of ONNX against NumPy in double or in integers."""

import itertools

import numpy as np
import pytest
from onnx import TensorProto, helper

import onnx_run

INTEGERS = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)
FLOATS = (np.float16, np.float32, np.float64)
DIMS = [(), (1,), (7,), (300,), (3, 5), (2, 1, 4), (4, 300), (300, 3), (2, 3, 4, 5), (3, 1, 70, 9),
        (2, 3, 2, 3, 2), (0, 3), (2, 0, 4)]


def numbers(rng, dims, dtype):
    if np.dtype(dtype).kind == "f":
        return rng.uniform(-2, 2, dims).astype(dtype)
    if dtype is np.bool_:
        return rng.integers(0, 2, dims).astype(dtype)
    low = 0 if np.dtype(dtype).kind == "u" else -5
    return rng.integers(low, 6, dims).astype(dtype)


def element(dtype):
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def run_one(program, folder, node, inputs, outputs, opset=24, constants=None, shapes="known"):
    made = onnx_run.model([node], inputs, outputs, opset, constants, shapes)
    return onnx_run.run(program, folder, made, inputs)


# ---- reductions ----------------------------------------------------------------------------------


def whole_mean(x, axis, keepdims):
    """The sum does not wrap, and the quotient is cut towards zero."""
    count = int(np.prod([x.shape[a] for a in axis]))
    sums = np.sum(x, axis=axis, keepdims=keepdims, dtype=np.int64)
    return np.trunc(sums / count) if count else np.zeros(sums.shape)


def log_sum_exp(x, axis, keepdims):
    with np.errstate(all="ignore"):
        top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
        top = np.where(np.isinf(top), 0, top)
        out = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis)


def extreme(function, first):
    def apply(x, axis, keepdims):
        if x.dtype.kind == "f":
            worst = -np.inf if first else np.inf
        elif x.dtype == np.bool_:
            worst = not first
        else:
            worst = np.iinfo(x.dtype).min if first else np.iinfo(x.dtype).max
        return function(x, axis=axis, keepdims=keepdims, initial=worst)

    return apply


def quiet(function):
    def apply(x, axis, keepdims):
        with np.errstate(all="ignore"):
            return function(x, axis, keepdims)

    return apply


KINDS = {
    "ReduceSum": lambda x, a, k: np.sum(x, axis=a, keepdims=k, dtype=x.dtype),
    "ReduceMean": quiet(lambda x, a, k: np.mean(x, axis=a, keepdims=k)),
    "ReduceMax": extreme(np.max, True),
    "ReduceMin": extreme(np.min, False),
    "ReduceProd": lambda x, a, k: np.prod(x, axis=a, keepdims=k, dtype=x.dtype),
    "ReduceL1": lambda x, a, k: np.sum(np.abs(x), axis=a, keepdims=k, dtype=x.dtype),
    "ReduceL2": lambda x, a, k: np.sqrt(np.sum(x * x, axis=a, keepdims=k)),
    "ReduceSumSquare": lambda x, a, k: np.sum(x * x, axis=a, keepdims=k, dtype=x.dtype),
    "ReduceLogSum": quiet(lambda x, a, k: np.log(np.sum(x, axis=a, keepdims=k))),
    "ReduceLogSumExp": log_sum_exp,
}
BY_DOUBLE = ("ReduceL2", "ReduceLogSum", "ReduceLogSumExp")


def expected(kind, x, axes, keep):
    if x.dtype.kind == "f" or kind in BY_DOUBLE:
        return KINDS[kind](x.astype(np.float64), axes, keep)
    function = whole_mean if kind == "ReduceMean" else KINDS[kind]
    return function(x, axes, keep)


def tolerance(kind, x, axes):
    """Everything but sums, means and products of float32 is computed in double and rounded once."""
    count = max(int(np.prod([x.shape[a] for a in axes])), 1)
    eps = float(np.finfo(x.dtype).eps) if x.dtype.kind == "f" else 0
    if x.dtype == np.float64:
        return 1e-13 * count, 1e-13 * count
    if x.dtype == np.float32 and kind in ("ReduceSum", "ReduceMean", "ReduceProd"):
        largest = 2.0 * (1 if kind == "ReduceMean" else count)
        return count * eps, 0 if kind == "ReduceProd" else count * eps * largest
    return eps, float(np.finfo(x.dtype).smallest_subnormal) if eps else 0


def check_reduction(program, folder, rng, kind, shapes):
    dims = DIMS[rng.integers(len(DIMS))]
    dtypes = FLOATS * 3 + INTEGERS + ((np.bool_,) * 2 if kind in ("ReduceMax", "ReduceMin") else ())
    dtype = dtypes[rng.integers(len(dtypes))]
    x = numbers(rng, dims, dtype)
    if kind == "ReduceLogSum":
        x = np.abs(x) + np.array(1, dtype)  # far from the logarithm of zero
    if dtype is np.float16 and kind == "ReduceProd":
        x = np.sign(x) * np.exp2(np.round(x)).astype(dtype)
    count = int(rng.integers(0, len(dims) + 1))
    axes = [int(a) for a in rng.permutation(len(dims))[:count]]
    keep, signs = int(rng.integers(2)), rng.integers(0, 2, count)
    given = np.array([a - len(dims) * int(s) for a, s in zip(axes, signs)], np.int64)
    chosen = tuple(axes) if count else tuple(range(len(dims)))
    attributes = {"keepdims": keep}
    if not count and rng.integers(2):
        attributes["noop_with_empty_axes"], chosen = 1, ()
    node = helper.make_node(kind, ["x", "axes"], ["y"], **attributes)
    inputs, constants = {"x": x}, {}
    (inputs if rng.integers(2) else constants)["axes"] = given
    (y,) = run_one(program, folder, node, inputs, {"y": element(dtype)}, 20, constants, shapes)
    with np.errstate(all="ignore"):
        want = np.asarray(expected(kind, x, chosen, bool(keep)))
    assert y.dtype == dtype and y.shape == want.shape, (kind, dims, axes, keep)
    rtol, atol = tolerance(kind, x, chosen)
    if not rtol and kind in BY_DOUBLE:
        finite = np.isfinite(want)
        near = [np.trunc(want[finite] + side).astype(dtype) for side in (-1e-12, 1e-12)]
        assert np.all((y[finite] == near[0]) | (y[finite] == near[1]))
        return
    with np.errstate(all="ignore"):
        want = want.astype(dtype) if np.dtype(dtype).kind != "f" else want
        largest = np.finfo(dtype).max if np.dtype(dtype).kind == "f" else np.inf
        inside = np.abs(want.astype(np.float64)) < largest
    np.testing.assert_allclose(y[inside | ~np.isfinite(want)], want[inside | ~np.isfinite(want)],
                               rtol=rtol, atol=atol, err_msg=f"{kind} {dims} {axes} {dtype}")


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_reduction(program, tmp_path, kind, shapes):
    rng = np.random.default_rng([list(KINDS).index(kind), onnx_run.SHAPES.index(shapes)])
    for _ in range(12):
        check_reduction(program, tmp_path, rng, kind, shapes)


def test_axes_that_only_the_run_tells(program, tmp_path):
    """The same model, and so the same session's graph, with other axes: other ranks come out."""
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    node = helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0)
    for axes in ([0], [0, 1], [0, 1, 2], [], [-1, 0]):
        inputs = {"x": x, "axes": np.array(axes, np.int64)}
        (y,) = run_one(program, tmp_path, node, inputs, {"y": TensorProto.FLOAT},
                       shapes="sizes unknown")
        np.testing.assert_array_equal(y, x.sum(axis=tuple(axes) if axes else None))


@pytest.mark.parametrize("axes", [[3], [-4], [1, 1], [1, -2], [2**40]])
def test_axes_that_are_none(program, tmp_path, axes):
    x = np.zeros((2, 3, 4), np.float32)
    node = helper.make_node("ReduceSum", ["x", "axes"], ["y"])
    inputs = {"x": x, "axes": np.array(axes, np.int64)}
    made = onnx_run.model([node], inputs, {"y": TensorProto.FLOAT})
    told = r"axis -?\d+ is (not one of 3 dimensions|given twice)"
    with pytest.raises(AssertionError, match=told):
        onnx_run.run(program, tmp_path, made, inputs)


# ---- one axis ------------------------------------------------------------------------------------

AXIS_DIMS = [(1,), (9,), (600,), (3, 5), (5, 300), (300, 5), (2, 3, 4), (2, 70, 1, 6)]


def axis_cases(shapes):
    """A third of the cases for each of what a file may tell of shapes."""
    cases = [(dims, axis) for dims in AXIS_DIMS for axis in range(-len(dims), len(dims))]
    return cases[onnx_run.SHAPES.index(shapes) :: 3]


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("operator,last", itertools.product(["ArgMax", "ArgMin"], [0, 1]))
def test_arg(program, tmp_path, operator, last, shapes):
    rng = np.random.default_rng(5)
    for i, (dims, axis) in enumerate(axis_cases(shapes)):
        dtype = (*FLOATS, *INTEGERS)[i % 11]
        x, keep = numbers(rng, dims, dtype).round(), i % 2
        node = helper.make_node(operator, ["x"], ["y"], axis=axis, keepdims=keep,
                                select_last_index=last)
        (y,) = run_one(program, tmp_path, node, {"x": x}, {"y": TensorProto.INT64}, 13,
                       shapes=shapes)
        find = np.argmax if operator == "ArgMax" else np.argmin
        want = find(np.flip(x, axis) if last else x, axis=axis, keepdims=bool(keep))
        np.testing.assert_array_equal(y, x.shape[axis] - 1 - want if last else want)
        assert y.dtype == np.int64


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("told", [False, True])
def test_topk(program, tmp_path, largest, told, shapes):
    rng = np.random.default_rng(6)
    for i, (dims, axis) in enumerate(axis_cases(shapes)):
        dtype = (*FLOATS, *INTEGERS)[i % 11]
        x, k = numbers(rng, dims, dtype).round(), int(rng.integers(0, dims[axis] + 1))
        inputs, constants = {"x": x}, {}
        (constants if told else inputs)["k"] = np.array([k], np.int64)
        node = helper.make_node("TopK", ["x", "k"], ["y", "i"], axis=axis, largest=largest)
        outputs = {"y": element(dtype), "i": TensorProto.INT64}
        y, where = run_one(program, tmp_path, node, inputs, outputs, 11, constants, shapes)
        keys = x.astype(np.float64) * (-1 if largest else 1)  # small numbers: exact
        order = np.argsort(keys, axis=axis, kind="stable").take(np.arange(k), axis=axis)
        np.testing.assert_array_equal(where, order)
        np.testing.assert_array_equal(y, np.take_along_axis(x, order, axis))


def test_topk_of_nan_and_more_than_there_are(program, tmp_path):
    x = np.array([1, np.nan, -np.inf, np.inf, -0.0, 0.0], np.float32)
    node = helper.make_node("TopK", ["x", "k"], ["y", "i"])
    outputs = {"y": TensorProto.FLOAT, "i": TensorProto.INT64}
    y, where = run_one(program, tmp_path, node, {"x": x, "k": np.array([6], np.int64)}, outputs)
    np.testing.assert_array_equal(where, [1, 3, 0, 4, 5, 2])
    np.testing.assert_array_equal(y, x[where])
    for k in (7, -1):
        inputs = {"x": x, "k": np.array([k], np.int64)}
        with pytest.raises(AssertionError, match=f"{k} elements are wanted"):
            run_one(program, tmp_path, node, inputs, outputs)


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("count", [127, 128, 159, 1000])
def test_few_of_long_rows(program, tmp_path, largest, count):
    """Most elements of which are not looked at: not the best, as where those are in the tail."""
    rng = np.random.default_rng(count)
    plain = rng.normal(size=count)
    few, most = plain.copy(), plain.copy()
    few[rng.integers(0, count, 3)] = np.nan
    most[rng.permutation(count)[3:]] = np.nan
    ends = np.where(np.arange(count) % 5 == 0, np.inf, -np.inf)
    zeros = np.where(np.arange(count) % 3 == 0, -0.0, 0.0)
    rows = [plain, np.sort(plain), -np.sort(plain), (plain * 2).round(), few, most, ends, zeros,
            np.full(count, np.nan), np.full(count, -np.inf), np.full(count, np.inf)]  # fmt: skip
    x = np.array(rows, np.float32)
    nan = np.isnan(x)
    sign = -1 if largest else 1
    order = np.lexsort((sign * np.where(nan, 0, x), ~nan if largest else nan), axis=-1)
    node = helper.make_node("TopK", ["x", "k"], ["y", "i"], largest=largest)
    outputs = {"y": TensorProto.FLOAT, "i": TensorProto.INT64}
    for k in (1, 5, 8, 9):
        inputs = {"x": x, "k": np.array([k], np.int64)}
        y, where = run_one(program, tmp_path, node, inputs, outputs)
        np.testing.assert_array_equal(where, order[:, :k])
        np.testing.assert_array_equal(y, np.take_along_axis(x, order[:, :k], -1))


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("operator", ["CumSum", "CumProd"])
@pytest.mark.parametrize("exclusive,reverse", itertools.product([0, 1], [0, 1]))
def test_running(program, tmp_path, operator, exclusive, reverse, shapes):
    rng = np.random.default_rng(7)
    run = np.cumsum if operator == "CumSum" else np.cumprod
    for i, (dims, axis) in enumerate(axis_cases(shapes)):
        dtype = (np.float64, np.float32, np.int64, np.uint8, np.int32, np.float16)[i % 6]
        x = numbers(rng, dims, dtype)
        if operator == "CumProd" and x.dtype.kind == "f":
            x = np.exp2(x / 32).astype(dtype)  # a product of 600 stays a number
        inputs = {"x": x, "axis": np.array(axis, np.int32 if i % 2 else np.int64)}
        node = helper.make_node(operator, ["x", "axis"], ["y"], exclusive=exclusive,
                                reverse=reverse)
        (y,) = run_one(program, tmp_path, node, inputs, {"y": element(dtype)}, 26, shapes=shapes)
        wide = np.float64 if x.dtype.kind == "f" else dtype
        turned = np.flip(x, axis) if reverse else x
        want = run(turned, axis=axis, dtype=wide)
        if exclusive:
            ones = np.full_like(want.take([0], axis), operator == "CumProd")
            want = np.concatenate([ones, want.take(range(dims[axis] - 1), axis)], axis)
        want = np.flip(want, axis) if reverse else want
        eps = np.finfo(dtype).eps if x.dtype.kind == "f" else 0
        with np.errstate(all="ignore"):
            want = want.astype(dtype)
        np.testing.assert_allclose(y, want, rtol=eps, atol=600 * 1e-13 if eps else 0)
        assert y.dtype == dtype


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("in_order", [0, 1])
def test_unique(program, tmp_path, in_order, shapes):
    rng = np.random.default_rng(8)
    cases = [(dims, axis) for dims in [(0,), (1,), (40,), (300,), (6, 3), (3, 40), (2, 9, 2)]
             for axis in [None, *range(-len(dims), len(dims))]]
    for i, (dims, axis) in enumerate(cases):
        dtype = (np.float32, np.int64, np.uint8, np.float16, np.float64, np.int8)[i % 6]
        x = (numbers(rng, dims, dtype) // 2).astype(dtype)
        attributes = {} if axis is None else {"axis": axis}
        node = helper.make_node("Unique", ["x"], ["y", "i", "p", "c"], sorted=in_order,
                                **attributes)
        outputs = {"y": element(dtype)} | dict.fromkeys("ipc", TensorProto.INT64)
        y, first, place, count = run_one(program, tmp_path, node, {"x": x}, outputs, 11,
                                         shapes=shapes)
        want, at, back, counts = np.unique(x, True, True, True, axis=axis)
        order = np.arange(len(at)) if in_order else np.argsort(at)
        rank = np.argsort(order)
        np.testing.assert_array_equal(y, want.take(order, axis=axis or 0))
        np.testing.assert_array_equal(first, at[order])
        np.testing.assert_array_equal(place, rank[back.reshape(-1)])
        np.testing.assert_array_equal(count, counts[order])
        assert y.dtype == dtype


# ---- softmax -------------------------------------------------------------------------------------


def softmax(operator, x, axes):
    x = x.astype(np.float64)
    top = x.max(axis=axes, keepdims=True)
    if operator == "Hardmax":
        flat = x.reshape(*x.shape[: axes[0]], -1) if len(axes) > 1 else np.moveaxis(x, axes[0], -1)
        hot = np.zeros_like(flat)
        np.put_along_axis(hot, flat.argmax(-1)[..., None], 1, -1)
        return hot.reshape(x.shape) if len(axes) > 1 else np.moveaxis(hot, -1, axes[0])
    sums = np.exp(x - top).sum(axis=axes, keepdims=True)
    return x - top - np.log(sums) if operator == "LogSoftmax" else np.exp(x - top) / sums


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize("opset", [11, 13])
def test_softmax(program, tmp_path, operator, opset, shapes):
    rng = np.random.default_rng(9)
    for i, (dims, axis) in enumerate(axis_cases(shapes)):
        dtype = FLOATS[i % 3]
        x = (4 * numbers(rng, dims, dtype)).astype(dtype)
        node = helper.make_node(operator, ["x"], ["y"], axis=axis)
        (y,) = run_one(program, tmp_path, node, {"x": x}, {"y": element(dtype)}, opset,
                       shapes=shapes)
        first = axis % len(dims)
        axes = tuple(range(first, len(dims))) if opset < 13 else (first,)
        want = softmax(operator, x, axes)
        eps = float(np.finfo(dtype).eps)
        # float32: the kernel's bound; float16 rounds the powers, their sum and the quotient; a sum
        # that is off by one rounding moves a logarithm by as much, however small that is
        steps = {np.float16: 3, np.float32: 8, np.float64: 400}[dtype]
        exact = dtype is np.float32 and operator != "LogSoftmax"
        np.testing.assert_allclose(y, want, rtol=steps * eps, atol=0 if exact else 4 * eps)
        assert y.dtype == dtype

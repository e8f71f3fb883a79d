"""Operators of ONNX that reshape, cut, pick, scatter and make, against NumPy: on every way a file
may tell of shapes, and with their sizes as constants (planned) and as inputs (dynamic steps)."""

import numpy as np
import onnx
import pytest
from onnx import helper

import onnx_run

WAYS = [*onnx_run.SHAPES, "constant"]


def numbers(*shape, dtype=np.float32, seed=1):
    values = np.random.default_rng(seed).integers(-100, 100, shape)
    return (values > 0) if dtype == bool else values.astype(dtype)


def ints(*values, dtype=np.int64):
    return np.array(values, dtype)


class Case:
    def __init__(self, op, inputs, want, opset=23, **attributes):
        self.op, self.inputs, self.opset, self.attributes = op, inputs, opset, attributes
        self.want = want if isinstance(want, list) else [want]

    def __str__(self):
        told = [f"{k}={v}".replace(" ", "") for k, v in self.attributes.items()]
        shapes = ["x".join(map(str, a.shape)) for a in self.inputs if a is not None]
        return "-".join([f"{self.op}{self.opset}", *shapes, *told])[:90]


def check(program, folder, case, way):
    names = ["" if a is None else f"x{i}" for i, a in enumerate(case.inputs)]
    given = {n: a for n, a in zip(names, case.inputs) if n}
    # What moves stays an input, what says how becomes constant.
    constants = {n: a for n, a in given.items() if n != "x0"} if way == "constant" else {}
    inputs = {n: a for n, a in given.items() if n not in constants}
    outputs = {f"y{i}": helper.np_dtype_to_tensor_dtype(w.dtype) for i, w in enumerate(case.want)}
    node = helper.make_node(case.op, names, list(outputs), **case.attributes)
    shapes = "known" if way == "constant" else way
    made = onnx_run.model([node], inputs, outputs, case.opset, constants, shapes)
    for y, want in zip(onnx_run.run(program, folder, made, inputs), case.want, strict=True):
        assert y.dtype == want.dtype and y.shape == want.shape
        np.testing.assert_array_equal(y, want)


# ---- another shape ------------------------------------------------------------------------------


def reshape_cases():
    x = numbers(2, 3, 4)
    yield Case("Reshape", [x, ints(4, -1)], x.reshape(4, 6))
    yield Case("Reshape", [x, ints(0, -1, 1, 2)], x.reshape(2, 6, 1, 2))
    yield Case("Reshape", [numbers(0, 3), ints(3, 0)], numbers(3, 0), allowzero=1)
    yield Case("Reshape", [numbers(0, 3), ints(-1, 3)], numbers(0, 3))
    yield Case("Reshape", [numbers(1), ints()], numbers(1).reshape(()))
    yield Case("Reshape", [numbers(dtype=np.float64), ints(1, 1)], numbers(1, 1, dtype=np.float64))
    yield Case("Squeeze", [numbers(1, 3, 1, 2), ints(0, -2)], numbers(3, 2))
    yield Case("Squeeze", [numbers(1, 3, 1, 2)], numbers(3, 2))
    yield Case("Squeeze", [numbers(1, 3, 1, 2)], numbers(3, 1, 2), opset=11, axes=[0])
    yield Case("Squeeze", [numbers(1, 1, dtype=bool)], numbers(dtype=bool))
    yield Case("Unsqueeze", [numbers(3, 2), ints(-1, 0, 2)], numbers(1, 3, 1, 2, 1))
    yield Case("Unsqueeze", [numbers(), ints(0)], numbers(1))
    yield Case("Unsqueeze", [numbers(3), ints(0)], numbers(1, 3))
    yield Case("Unsqueeze", [numbers(3, 0)], numbers(3, 1, 0), opset=7, axes=[1])
    yield Case("Flatten", [x], x.reshape(6, 4), axis=-1)
    yield Case("Flatten", [x], x.reshape(1, 24), axis=0)
    yield Case("Flatten", [x], x.reshape(24, 1), axis=3)
    yield Case("Flatten", [numbers(3, 0, 2)], numbers(3, 0))
    yield Case("Flatten", [numbers()], numbers(1, 1), axis=0)
    yield Case("BitCast", [x], x.view(np.uint32), opset=26, to=12)
    yield Case(
        "BitCast", [numbers(2, 0, dtype=np.int16)], numbers(2, 0, dtype=np.float16), 26, to=10
    )


def transpose_cases():
    for dtype in (np.float32, np.uint8, np.float16, np.int64, bool):
        x = numbers(3, 5, 2, 7, dtype=dtype)
        yield Case("Transpose", [x], x.transpose(2, 0, 3, 1), perm=[2, 0, 3, 1])
        yield Case("Transpose", [x], x.T)
        # Squares of sixteen, and what is left over at their edges.
        wide = numbers(2, 37, 50, 19, dtype=dtype)
        for order in ((0, 3, 1, 2), (0, 2, 3, 1), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3, 0, 2)):
            yield Case("Transpose", [wide], wide.transpose(order), perm=order)
    long = numbers(3, 1100, 18)
    yield Case("Transpose", [long], long.transpose(0, 2, 1), perm=(0, 2, 1))
    yield Case("Transpose", [long], long.transpose(2, 1, 0), perm=(2, 1, 0))
    yield Case("Transpose", [numbers()], numbers())
    yield Case("Transpose", [numbers(3, 0, 2)], numbers(0, 2, 3), perm=[1, 2, 0])


def join_cases():
    a, b = numbers(2, 3, 4), numbers(2, 5, 4, seed=2)
    yield Case("Concat", [a, b], np.concatenate([a, b], 1), axis=1)
    yield Case("Concat", [a, b, a], np.concatenate([a, b, a], 1), axis=-2)
    yield Case("Concat", [a], a, axis=0)
    for width in (1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 127, 129):  # short rows
        for kind in (np.uint8, np.float16, np.float32, np.int64):
            rows = np.arange(5 * width).reshape(5, width).astype(kind)
            thin = np.full((5, 1), 99, kind)
            yield Case("Concat", [thin, rows, thin], np.hstack([thin, rows, thin]), axis=1)
    empty = numbers(2, 0, 4, dtype=np.int32)
    c = numbers(2, 1, 4, dtype=np.int32)
    yield Case("Concat", [empty, c, empty], c, axis=1)
    x = numbers(2, 3)
    yield Case("Expand", [x, ints(4, 1, 3)], np.broadcast_to(x, (4, 2, 3)))
    yield Case("Expand", [numbers(3, 1), ints(1)], numbers(3, 1))
    yield Case("Expand", [numbers(3, 1), ints(1, 0)], numbers(3, 0))
    yield Case("Expand", [numbers(dtype=bool), ints(2, 2)], np.full((2, 2), numbers(dtype=bool)))
    yield Case("Expand", [numbers(), ints()], numbers())
    yield Case("Tile", [x, ints(2, 3)], np.tile(x, (2, 3)))
    y = numbers(3, 1, 2, dtype=np.uint8)
    yield Case("Tile", [y, ints(1, 5, 1)], np.tile(y, (1, 5, 1)))
    yield Case("Tile", [y, ints(2, 1, 3)], np.tile(y, (2, 1, 3)))
    yield Case("Tile", [y, ints(1, 0, 2)], np.tile(y, (1, 0, 2)))
    yield Case("Tile", [numbers(), ints()], numbers())
    big = numbers(70, 3, dtype=np.float64)
    yield Case("Tile", [big, ints(50, 7)], np.tile(big, (50, 7)))


# ---- parts --------------------------------------------------------------------------------------


def cut_cases():
    x = numbers(9, 4, 5)
    far = 2**62
    yield Case("Slice", [x, ints(1), ints(7)], x[1:7])
    yield Case("Slice", [x, ints(-2, 0), ints(far, 3), ints(2, 0)], x[:3, :, -2:])
    yield Case(
        "Slice", [x, ints(8, -1), ints(1, -far), ints(0, -1), ints(-3, -1)], x[8:1:-3, :, ::-1]
    )
    yield Case("Slice", [x, ints(far), ints(-far), ints(0), ints(-4)], x[::-4])
    yield Case("Slice", [x, ints(6), ints(2), ints(0)], x[6:2])
    yield Case("Slice", [x, ints(0), ints(9), ints(0), ints(-far)], x[:0])
    few = ints(1, dtype=np.int32)
    yield Case("Slice", [x, few, few * 3, few, few * 2], x[:, 1:3:2])
    yield Case("Slice", [x], x[1:3, :, -1:], opset=7, starts=[1, -1], ends=[3, far], axes=[0, 2])
    yield Case("Slice", [numbers(0, 3), ints(0), ints(far), ints(0), ints(-1)], numbers(0, 3))
    yield Case("Split", [x, ints(2, 0, 3)], [x[..., :2], x[..., 2:2], x[..., 2:]], axis=-1)
    yield Case("Split", [x], [x[:, :2], x[:, 2:]], axis=1, num_outputs=2)
    yield Case("Split", [x], [x[:5], x[5:]], num_outputs=2)
    yield Case("Split", [x], [x[:3], x[3:]], opset=11, split=[3, 6])
    keep = numbers(5, dtype=bool)
    yield Case("Compress", [x, keep], x[:5][keep], axis=0)
    flat = numbers(40, dtype=bool, seed=4)
    yield Case("Compress", [x, flat], x.ravel()[:40][flat])
    cols = ints(0, 1, 1, 0, 1).astype(bool)
    yield Case("Compress", [x, cols], x[:, :, cols], axis=-1)
    yield Case("Compress", [x, np.zeros(9, bool)], x[:0], axis=0)
    yield Case("NonZero", [x], np.array(np.nonzero(x)))
    yield Case("NonZero", [numbers(0, 3, dtype=bool)], np.zeros((2, 0), np.int64))


def pad_cases():
    x = numbers(3, 4, 5)
    two = np.array(2, np.float32)
    wide = ((1, 2), (0, 0), (3, 1))
    flat = ints(1, 0, 3, 2, 0, 1)
    for mode in ("constant", "reflect", "edge", "wrap"):
        yield Case("Pad", [x, flat], np.pad(x, wide, mode), mode=mode)
        y = numbers(2, 5, dtype=np.int16)
        far = ((7, 4), (0, 11))
        yield Case("Pad", [y, ints(7, 0, 4, 11)], np.pad(y, far, mode), mode=mode)
        one = numbers(1, 1)
        yield Case("Pad", [one, ints(3, 1, 0, 2)], np.pad(one, ((3, 0), (1, 2)), mode), mode=mode)
        cut = np.pad(x[1:, :, :-2], ((0, 2), (1, 0), (2, 0)), mode)
        yield Case("Pad", [x, ints(-1, 1, 2, 2, 0, -2)], cut, mode=mode)
    yield Case("Pad", [x, flat, two], np.pad(x, wide, constant_values=2))
    ends = ints(2, 1, 0, 3)
    some = np.pad(x, ((1, 3), (0, 0), (2, 0)), constant_values=2)
    yield Case("Pad", [x, ends, two, ints(-1, 0)], some)
    swapped = ints(1, 2, 3, 0)
    zeros = np.pad(x, ((1, 3), (0, 0), (2, 0)))
    yield Case("Pad", [x, swapped, None, ints(-3, 2, dtype=np.int32)], zeros)
    yield Case("Pad", [x], np.pad(x, wide, constant_values=1.5), opset=2, pads=flat, value=1.5)
    yield Case("Pad", [x], np.pad(x, wide), opset=1, paddings=flat)
    yield Case("Pad", [numbers(0, 2), ints(1, 0, 2, 0)], np.zeros((3, 2), np.float32))
    yield Case(
        "Pad",
        [numbers(2, 3, dtype=bool), ints(0, 1, 0, 1), np.array(True)],
        np.pad(numbers(2, 3, dtype=bool), ((0, 0), (1, 1)), constant_values=True),
    )
    yield Case("Pad", [numbers(), ints()], numbers())


# ---- by index -----------------------------------------------------------------------------------


def gather_cases():
    x = numbers(4, 5, 3)
    for dtype in (np.int32, np.int64):
        i = ints(3, -4, 0, 3, dtype=dtype)
        yield Case("Gather", [x, i], np.take(x, i, 0))
        yield Case("Gather", [x, i.reshape(2, 2)], np.take(x, i.reshape(2, 2), 1), axis=1)
        yield Case("Gather", [x, i[:3] % 3], np.take(x, i[:3] % 3, -1), axis=-1)
    yield Case("Gather", [x, ints(2).reshape(())], x[2])
    yield Case("Gather", [x, ints(-1).reshape(())], x[:, :, -1], axis=2)
    yield Case("Gather", [x, np.zeros((0, 2), np.int64)], np.zeros((0, 2, 5, 3), np.float32))
    yield Case(
        "Gather", [numbers(7, dtype=np.uint8), ints(6, 0)], numbers(7, dtype=np.uint8)[[6, 0]]
    )
    for axis in (0, 1, -1):
        shape = [4, 5, 3]
        shape[axis] = 6
        i = np.random.default_rng(2).integers(-x.shape[axis], x.shape[axis], shape)
        part = i[:3, :2, :2]
        yield Case("GatherElements", [x, i], np.take_along_axis(x, i, axis), axis=axis)
        want = np.take_along_axis(
            x[
                tuple(
                    slice(0, n) if d != axis % 3 else slice(None) for d, n in enumerate(part.shape)
                )
            ],
            part,
            axis,
        )
        yield Case("GatherElements", [x, part], want, axis=axis)
    i = np.random.default_rng(3).integers(-3, 3, (2, 6, 2))
    yield Case("GatherND", [x, i], x[i[..., 0], i[..., 1]])
    yield Case("GatherND", [x, i[0, 0]], x[i[0, 0, 0], i[0, 0, 1]])
    b = np.random.default_rng(3).integers(-5, 5, (4, 2, 1))
    want = np.stack([x[k][b[k, :, 0]] for k in range(4)])
    yield Case("GatherND", [x, b], want, batch_dims=1)
    yield Case("GatherND", [x, np.zeros((2, 0), np.int64)], np.stack([x, x]))


REDUCE = {"none": None, "add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def scatter_cases():
    for kind, ufunc in REDUCE.items():
        for dtype in (np.float32, np.int64, np.uint8, np.float16):
            x = numbers(4, 5, 3, dtype=np.int64).astype(dtype) % dtype(7)
            i = np.random.default_rng(5).integers(-5, 5, (3, 6, 2))
            u = np.random.default_rng(6).integers(0, 3, i.shape).astype(dtype)
            want = x.copy()
            for at in np.ndindex(*i.shape):
                to = (at[0], i[at], at[2])
                want[to] = u[at] if ufunc is None else ufunc(want[to], u[at])
            yield Case("ScatterElements", [x, i, u], want, axis=1, reduction=kind)
            n = np.random.default_rng(7).integers(-4, 4, (6, 1))
            v = np.random.default_rng(8).integers(0, 3, (6, 5, 3)).astype(dtype)
            want = x.copy()
            for k in range(6):
                to = n[k, 0]
                want[to] = v[k] if ufunc is None else ufunc(want[to], v[k])
            yield Case("ScatterND", [x, n, v], want, reduction=kind)
    x = numbers(3, 4)
    i = ints([1, 0], [-1, 3])
    y = x.copy()
    y[1, 0], y[-1, 3] = 7, 8
    yield Case("ScatterND", [x, i, np.array([7, 8], np.float32)], y, opset=11)
    yield Case("ScatterND", [x, np.zeros((1, 0), np.int64), x[None] + 1], x + 1)
    few = ints([1, 2], dtype=np.int32)
    y = x.copy()
    y[1, 0], y[2, 1] = 5, 6
    yield Case("Scatter", [x, few, np.array([[5, 6]], np.float32)], y, opset=9)
    yield Case("ScatterElements", [x, np.zeros((0, 2), np.int64), np.zeros((0, 2), np.float32)], x)


def sequence_cases():
    cache, new = numbers(2, 3, 6, 4), numbers(2, 3, 2, 4, seed=2)
    for at, mode in ((ints(4, 1), "linear"), (ints(5, 2), "circular"), (None, "linear")):
        want = cache.copy()
        for b in range(2):
            for k in range(2):
                want[b, :, ((at[b] if at is not None else 0) + k) % 6] = new[b, :, k]
        yield Case("TensorScatter", [cache, new, at], want, opset=24, mode=mode)
    x = numbers(4, 3, 2)
    for time in (0, 1):
        lengths = ints(*np.random.default_rng(2).integers(0, x.shape[time] + 1, x.shape[1 - time]))
        want = np.moveaxis(x, time, 0).copy()
        for b, n in enumerate(lengths):
            want[:n, b] = want[:n, b][::-1].copy()
        yield Case(
            "ReverseSequence",
            [x, lengths],
            np.moveaxis(want, 0, time),
            opset=10,
            time_axis=time,
            batch_axis=1 - time,
        )


# ---- by condition, and made ---------------------------------------------------------------------


def made_cases():
    for dtype in (np.float32, np.uint8, np.int16, np.float64, bool):
        c, a, b = numbers(3, 1, 4, dtype=bool), numbers(2, 4, dtype=dtype), numbers(dtype=dtype)
        yield Case("Where", [c, a, b], np.where(c, a, b))
    wide = numbers(300, 70, dtype=bool)
    a = numbers(300, 1, dtype=np.int64)
    yield Case("Where", [wide, a, a[:1]], np.where(wide, a, a[:1]))
    yield Case("Where", [numbers(0, 1, dtype=bool), numbers(1, 3), numbers(3)], numbers(0, 3))
    for shape in ((4, 6), (2, 5, 3), (0, 3), (3, 0)):
        for k in (0, 1, -2, 40, -40):
            for upper in (0, 1):
                x = numbers(*shape, dtype=np.int32)
                cut = np.triu if upper else np.tril
                yield Case("Trilu", [x, np.array(k)], cut(x, k), upper=upper)
    yield Case("Trilu", [numbers(3, 3, dtype=bool)], np.triu(numbers(3, 3, dtype=bool)))
    for at in ((2, 11, 3), (11, 2, -4), (0, 0, 1), (5, 1, 1), (-(2**62), 2**62, 2**61)):
        yield Case("Range", [np.array(v) for v in at], ints(*range(*at)))
    for dtype in (np.float32, np.float64):
        at = [np.array(v, dtype) for v in (0.25, 3.1, 0.4)]
        want = (float(at[0]) + np.arange(8) * float(at[2])).astype(dtype)
        yield Case("Range", at, want)
    yield Case("EyeLike", [numbers(3, 5)], np.eye(3, 5, 2, np.int8), opset=22, dtype=3, k=2)
    yield Case("EyeLike", [numbers(3, 5)], np.eye(3, 5, -2, np.float32), opset=9, k=-2)
    yield Case("EyeLike", [numbers(0, 5)], np.zeros((0, 5), np.float32), opset=9)
    for axis in (-1, 0, 1):
        i = np.random.default_rng(1).integers(-7, 7, (2, 3))
        for indices in (i, i.astype(np.float32)):
            on = np.where(i < 0, i + 5, i)[..., None] == np.arange(5)
            want = np.moveaxis(np.where(on, 9, 2), -1, axis)
            yield Case("OneHot", [indices, np.array(5), ints(2, 9)], want, opset=11, axis=axis)
    x = numbers(2, 3, 4)
    for start, end in ((0, 3), (1, None), (-2, None), (0, -1), (2, 1), (-9, 9)):
        told = {"start": start} if end is None else {"start": start, "end": end}
        yield Case("Shape", [x], ints(*x.shape)[start:end], **told)
    yield Case("Shape", [numbers()], np.zeros(0, np.int64))
    yield Case("Size", [numbers(3, 0)], np.array(0))
    yield Case("Size", [x], np.array(24))
    one = helper.make_tensor("v", 7, [1], [3])
    yield Case("ConstantOfShape", [ints(2, 3)], np.full((2, 3), 3), value=one)
    yield Case("ConstantOfShape", [ints()], np.array(0, np.float32))
    yield Case("ConstantOfShape", [ints(2, 0)], np.zeros((2, 0), np.float32))


def pixel_cases():
    for dtype in (np.float32, np.uint8):
        x = numbers(2, 12, 3, 5, dtype=dtype)
        dcr = x.reshape(2, 2, 2, 3, 3, 5).transpose(0, 3, 4, 1, 5, 2).reshape(2, 3, 6, 10)
        crd = x.reshape(2, 3, 2, 2, 3, 5).transpose(0, 1, 4, 2, 5, 3).reshape(2, 3, 6, 10)
        yield Case("DepthToSpace", [x], dcr, opset=13, blocksize=2)
        yield Case("DepthToSpace", [x], crd, opset=13, blocksize=2, mode="CRD")
        yield Case("SpaceToDepth", [dcr], x, opset=13, blocksize=2)
        yield Case("SpaceToDepth", [crd], x, opset=28, blocksize=2, mode="CRD")


FAMILIES = [
    reshape_cases,
    transpose_cases,
    join_cases,
    cut_cases,
    pad_cases,
    gather_cases,
    scatter_cases,
    sequence_cases,
    made_cases,
    pixel_cases,
]


@pytest.mark.parametrize("sized", [False, True])
def test_more_parts_than_a_node_has(program, tmp_path, sized):
    x = numbers(3, 90, dtype=np.int32)
    parts = [f"p{i}" for i in range(90)]
    told = {} if sized else {"num_outputs": 90}
    nodes = [
        helper.make_node("Split", ["x", "sizes"] if sized else ["x"], parts, axis=-1, **told),
        helper.make_node("Concat", parts[::-1], ["y"], axis=1),
    ]
    sizes = {"sizes": np.ones(90, np.int64)} if sized else {}
    made = onnx_run.model(nodes, {"x": x}, {"y": 6}, 18, sizes)
    (y,) = onnx_run.run(program, tmp_path, made, {"x": x})
    np.testing.assert_array_equal(y, x[:, ::-1])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__.removesuffix("_cases"))
def test_family(program, tmp_path, family, way):
    complaints = []
    for case in family():
        try:
            check(program, tmp_path, case, way)
        except AssertionError as error:
            complaints.append(f"{case}: {error}")
    assert not complaints, f"{len(complaints)} cases\n" + "\n".join(complaints)


POOLED = {"kernel_shape": [2], "strides": [2]}
REFUSED = [
    ("Gather", [numbers(4, 3), ints(1, 4)], {}, "index 4 is outside of axis 0 of size 4"),
    ("Gather", [numbers(4, 3), ints(-4)], {"axis": 1}, "index -4 is outside of axis 1 of size 3"),
    ("GatherElements", [numbers(2, 2), ints([2])], {}, "index 2 is outside"),
    ("GatherND", [numbers(2, 2), ints([0, 5])], {}, "index 5 is outside of axis 1"),
    ("ScatterND", [numbers(2), ints([2]), numbers(1)], {}, "index 2 is outside"),
    ("ScatterElements", [numbers(2), ints(-3), numbers(1)], {}, "index -3 is outside"),
    (
        "TensorScatter",
        [numbers(1, 4, 1), numbers(1, 2, 1), ints(3)],
        {},
        "do not fit a sequence of 4",
    ),
    ("Reshape", [numbers(4, 3), ints(5, -1)], {}, "input (4,3) cannot take shape (5,?)"),
    ("Squeeze", [numbers(4, 1), ints(0)], {}, "axis 0 of input (4,1) has not size 1"),
    ("Unsqueeze", [numbers(4), ints(0, 0)], {}, "axis 0 is given twice"),
    ("Expand", [numbers(4, 3), ints(2, 3)], {}, "cannot be broadcast together"),
    ("Tile", [numbers(4, 3), ints(2, -1)], {}, "dimension 1 cannot be repeated -1 times"),
    ("Tile", [numbers(4, 3), ints(2**62, 2)], {}, "too large"),
    ("Pad", [numbers(4), ints(-3, -2)], {}, "a dimension of 4 cannot be padded by -3 and -2"),
    ("Pad", [numbers(0), ints(1, 0)], {"mode": "edge"}, "a dimension of 0 cannot be padded"),
    ("Slice", [numbers(4), ints(0), ints(4), ints(0), ints(0)], {}, "step 0"),
    ("Slice", [numbers(4), ints(0), ints(4), ints(1)], {}, "axis 1 is not one of 1 dimensions"),
    ("Split", [numbers(4), ints(3, 2)], {}, "no list of 1"),
    ("Range", [np.array(0), np.array(1), np.array(0)], {}, "a range with step 0"),
    ("ConstantOfShape", [ints(2**40, 2**40)], {}, "too large"),
    ("OneHot", [ints(1), np.array(-1), ints(0, 1)], {}, "depth -1 is negative"),
    ("ReverseSequence", [numbers(3, 1), ints(4)], {}, "length 4 is not from 0 to 3"),
    ("CumSum", [numbers(2, 3), np.array(2)], {}, "axis 2 is not one of"),
    ("CumSum", [numbers(2, 3), np.array(-3)], {}, "axis -3 is not one of"),
    ("DFT", [numbers(2, 3, 1), np.array(3), np.array(9)], {}, "axis 9"),
    ("DFT", [numbers(2, 3, 1), None, np.array(9)], {}, "axis 9"),
    ("MaxUnpool", [numbers(1, 1, 2), ints([[0, 4]])], POOLED, "index 4 is outside of output"),
    ("MaxUnpool", [numbers(1, 1, 2), ints([[-1, 3]])], POOLED, "index -1 is outside of output"),
    (
        "MaxUnpool",
        [numbers(1, 1, 2), ints([[0, 3]]), ints(1, 1, 3)],
        POOLED,
        "index 3 is outside of output (1,1,3)",
    ),
    (
        "RoiAlign",
        [numbers(2, 1, 4, 4), numbers(2, 4), ints(1, 2)],
        {},
        "region 1 is of image 2, and there are 2",
    ),
    ("RoiAlign", [numbers(2, 1, 4, 4), numbers(1, 4), ints(-1)], {}, "region 0 is of image -1"),
    (
        "MaxRoiPool",
        [numbers(2, 1, 4, 4), ints([2, 0, 0, 1, 1]).astype(np.float32)],
        {"pooled_shape": [1, 1]},
        "region 0 is of image 2, and there are 2",
    ),
    (
        "NegativeLogLikelihoodLoss",
        [numbers(2, 3), ints(0, 3)],
        {},
        "target 3 is not one of 3 classes",
    ),
    (
        "NegativeLogLikelihoodLoss",
        [numbers(2, 3), ints(7, -1)],
        {"ignore_index": 7},
        "target -1 is not one of 3 classes",
    ),
    (
        "RotaryEmbedding",
        [numbers(1, 1, 2, 4), numbers(5, 2), numbers(5, 2), ints([0, 5])],
        {},
        "place 5 of 5",
    ),
]


# One plain sentence, whether it is known before the run or only in it.
@pytest.mark.parametrize("op,given,attributes,sentence", REFUSED)
@pytest.mark.parametrize("constant", [False, True])
def test_refused(program, tmp_path, op, given, attributes, sentence, constant):
    names = [f"x{i}" if array is not None else "" for i, array in enumerate(given)]
    arrays = {name: array for name, array in zip(names, given) if name}
    inputs = {"x0": given[0]} if constant else arrays
    constants = {k: v for k, v in arrays.items() if k not in inputs}
    nodes = [helper.make_node(op, names, ["y"], **attributes)]
    element = helper.np_dtype_to_tensor_dtype(given[2 if op == "OneHot" else 0].dtype)
    made = onnx_run.model(nodes, inputs, {"y": element}, 24, constants)
    onnx.save(made, tmp_path / "model.onnx")
    arguments = ["exec", tmp_path / "model.onnx", "--quiet", "--output", f"y={tmp_path / 'y.npy'}"]
    for name, array in inputs.items():
        np.save(tmp_path / f"{name}.npy", array)
        arguments += ["--input", f"{name}={tmp_path / name}.npy"]
    assert sentence in program.run(*arguments, code=1).stderr


# What is folded while planning is held to the same: here indices are too many to be known before,
# or lie across their rows.
@pytest.mark.parametrize("turned", [False, True])
def test_refused_when_folded(program, tmp_path, turned):
    data, where = numbers(70, 70), np.zeros((70, 2 if turned else 70), np.int64)
    where[-1, -1] = 10**12
    nodes = [
        helper.make_node("Transpose", ["turned"], ["where"], perm=[1, 0]),
        helper.make_node("GatherElements", ["data", "where"], ["picked"], axis=1),
        helper.make_node("ReduceSum", ["picked"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    constants = {"data": data, "turned" if turned else "where": where.T if turned else where}
    x = {"x": numbers(3)}
    made = onnx_run.model(nodes if turned else nodes[1:], x, {"y": 1}, constants=constants)
    with pytest.raises(AssertionError, match="index 1000000000000 is outside of axis 1 of size 70"):
        onnx_run.run(program, tmp_path, made, x)

"""Convolutions, poolings and resampling of ONNX against PyTorch in double and plain NumPy, with
weights that are constants or inputs, and shapes that the file tells, in part, or not at all."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper

import onnx_run

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
EPSILON = np.finfo(np.float32).eps
WINOGRAD = 5e-5  # of the largest element, as for a whole network


def random(*shape, seed=1, dtype=np.float32):
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(dtype)


def double(array):
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))


def run(program, folder, operator, inputs, *options, outputs=1, constants=None, **settings):
    """The outputs of one node, run on one thread and on two, which must agree to the bit."""
    opset = settings.pop("opset", 22)
    shapes = settings.pop("shapes", "known")
    names = [f"y{i}" for i in range(outputs)]
    everything = {**inputs, **(constants or {})}
    order = settings.pop("order", list(everything))
    first = next(iter(everything.values()))
    types = settings.pop("types", [helper.np_dtype_to_tensor_dtype(first.dtype)] * outputs)
    node = helper.make_node(operator, order, names, **settings)
    made = onnx_run.model([node], inputs, dict(zip(names, types)), opset, constants, shapes)
    results = []
    for threads in (1, 2):
        results.append(
            onnx_run.run(program, folder, made, inputs, "--threads", threads, *options)
        )
    for a, b in zip(*results):
        np.testing.assert_array_equal(a, b)
    return results[0][0] if outputs == 1 else results[0]


# ---- convolution ---------------------------------------------------------------------------------

CONVS = [  # image, kernel, channels in, out, groups, stride, dilation, pads
    ((13,), (3,), 5, 7, 1, (1,), (1,), (1, 1)),
    ((40,), (5,), 8, 6, 2, (3,), (2,), (0, 4)),
    ((33,), (10,), 12, 12, 12, (2,), (1,), (4, 5)),
    ((1,), (1,), 300, 5, 1, (1,), (1,), (0, 0)),
    ((9, 11), (3, 3), 16, 20, 1, (1, 1), (1, 1), (1, 1, 1, 1)),
    ((9, 11), (3, 2), 6, 9, 3, (2, 1), (1, 3), (0, 2, 3, 1)),
    ((7, 8), (3, 5), 6, 12, 6, (1, 2), (2, 1), (2, 2, 2, 2)),
    ((12, 5), (1, 1), 130, 70, 1, (1, 1), (1, 1), (0, 0, 0, 0)),
    ((4, 5, 6), (3, 2, 3), 4, 6, 1, (1, 1, 1), (1, 1, 1), (1, 0, 1, 1, 1, 1)),
    ((6, 7, 5), (2, 3, 3), 4, 8, 4, (2, 1, 2), (1, 2, 1), (1, 2, 0, 0, 2, 1)),
]


def padded(x, pads):
    """Padding as ONNX lists it: all begins, then all ends."""
    half = len(pads) // 2
    pairs = [(pads[i], pads[half + i]) for i in reversed(range(half))]
    return F.pad(x, list(itertools.chain.from_iterable(pairs)))


def conv(x, w, b, case):
    _, kernel, _, _, groups, stride, dilation, pads = case
    function = (F.conv1d, F.conv2d, F.conv3d)[len(kernel) - 1]
    return function(padded(x, pads), w, b, stride, 0, dilation, groups).numpy()


def check_sums(ours, want, sizes, count, winograd=False):
    """Each element is a sum of `count` products, whose sizes add up to `sizes`."""
    bound = (count + 2) * EPSILON * sizes
    if winograd:
        bound = WINOGRAD * np.abs(want).max()
    assert ours.shape == want.shape
    assert np.all(np.abs(ours - want) <= bound), np.max(np.abs(ours - want) / bound)


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("case", CONVS)
def test_conv(program, tmp_path, cpu, case, constant, shapes):
    image, kernel, c, o, groups, stride, dilation, pads = case
    x, w, b = random(2, c, *image), random(o, c // groups, *kernel, seed=2), random(o, seed=3)
    inputs, constants = ({"x": x}, {"w": w, "b": b}) if constant else ({"x": x, "w": w, "b": b}, {})
    given = dict(group=groups, strides=stride, dilations=dilation, pads=pads)
    y = run(program, tmp_path, "Conv", inputs, "--cpu", cpu, constants=constants, shapes=shapes,
            **given)
    want = conv(double(x), double(w), double(b), case)
    sizes = conv(double(np.abs(x)), double(np.abs(w)), double(np.abs(b)), case)
    fast = constant and kernel == (3, 3) and stride == dilation == (1, 1)
    check_sums(y, want, sizes, w[0].size, fast)


@pytest.mark.parametrize("auto", ["SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
def test_conv_pads_itself(program, tmp_path, auto, constant, stride, shapes):
    image, kernel, dilation = (7, 10), (4, 3), (1, 2)
    x, w = random(1, 3, *image), random(5, 3, *kernel, seed=2)
    pads = [0, 0, 0, 0]
    for i in range(2) if auto != "VALID" else ():
        out = -(-image[i] // stride[i])
        total = max((out - 1) * stride[i] + dilation[i] * (kernel[i] - 1) + 1 - image[i], 0)
        pads[i] = total // 2 if auto == "SAME_UPPER" else total - total // 2
        pads[2 + i] = total - pads[i]
    inputs, constants = ({"x": x}, {"w": w}) if constant else ({"x": x, "w": w}, {})
    y = run(program, tmp_path, "Conv", inputs, constants=constants, shapes=shapes, auto_pad=auto,
            strides=stride, dilations=dilation)
    case = (image, kernel, 3, 5, 1, stride, dilation, pads)
    sizes = conv(double(np.abs(x)), double(np.abs(w)), None, case)
    check_sums(y, conv(double(x), double(w), None, case), sizes, w[0].size)


def test_conv_of_nothing(program, tmp_path):
    for constant in (False, True):
        x, w = random(0, 3, 8, 8), random(4, 3, 3, 3)
        inputs, constants = ({"x": x}, {"w": w}) if constant else ({"x": x, "w": w}, {})
        y = run(program, tmp_path, "Conv", inputs, constants=constants, shapes="sizes unknown")
        assert y.shape == (0, 4, 6, 6)


TRANSPOSES = [  # image, kernel, channels in, out, groups, stride, dilation, pads, output padding
    ((7,), (4,), 6, 5, 1, (2,), (1,), (1, 1), (0,)),
    ((9,), (3,), 6, 4, 2, (3,), (2,), (0, 2), (2,)),
    ((5, 6), (3, 3), 5, 4, 1, (2, 2), (1, 1), (1, 1, 1, 1), (1, 1)),
    ((5, 6), (2, 5), 8, 12, 4, (1, 3), (2, 1), (0, 3, 1, 0), (0, 0)),
    ((3, 4, 5), (3, 2, 2), 4, 6, 2, (2, 1, 3), (1, 2, 1), (1, 0, 1, 0, 1, 0), (1, 0, 2)),
]


def transpose(x, w, b, case):
    _, kernel, _, _, groups, stride, dilation, pads, out_pad = case
    rank = len(kernel)
    function = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    # torch takes one padding for both ends: the whole is cut by hand
    whole = function(x, w, b, stride, 0, 0, groups, dilation).numpy()
    if any(out_pad):
        fill = np.zeros(whole.shape[:1]) if b is None else b.numpy()
        wide = np.empty(whole.shape[:2] + tuple(s + p for s, p in zip(whole.shape[2:], out_pad)))
        wide[:] = fill.reshape(1, -1, *[1] * rank)
        wide[tuple(slice(0, s) for s in whole.shape)] = whole
        whole = wide
    cuts = [slice(pads[i], whole.shape[2 + i] - pads[rank + i]) for i in range(rank)]
    return whole[(slice(None), slice(None), *cuts)]


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("case", TRANSPOSES)
def test_conv_transpose(program, tmp_path, cpu, case, constant, shapes):
    image, kernel, c, o, groups, stride, dilation, pads, out_pad = case
    x, w, b = random(2, c, *image), random(c, o // groups, *kernel, seed=2), random(o, seed=3)
    inputs, constants = ({"x": x}, {"w": w, "b": b}) if constant else ({"x": x, "w": w, "b": b}, {})
    given = dict(group=groups, strides=stride, dilations=dilation, pads=pads)
    y = run(program, tmp_path, "ConvTranspose", inputs, "--cpu", cpu, constants=constants,
            shapes=shapes, output_padding=out_pad, **given)
    want = transpose(double(x), double(w), double(b), case)
    sizes = transpose(double(np.abs(x)), double(np.abs(w)), double(np.abs(b)), case)
    check_sums(y, want, sizes, w.size // w.shape[1])


def test_deform_conv(program, tmp_path, cpu):
    n, c, o, groups, offsets, kernel, stride, pads = 2, 8, 6, 2, 4, (3, 2), (2, 1), (1, 0, 1, 2)
    x, w, b = random(n, c, 9, 8), random(o, c // groups, *kernel, seed=2), random(o, seed=3)
    rows, cols = 5, 9
    taps = kernel[0] * kernel[1]
    offset = 3 * random(n, offsets * taps * 2, rows, cols, seed=4)
    mask = random(n, offsets * taps, rows, cols, seed=5)
    y = run(program, tmp_path, "DeformConv", {"x": x, "w": w, "o": offset, "b": b, "m": mask},
            "--cpu", cpu, offset_group=offsets, group=groups, strides=stride, pads=pads,
            kernel_shape=kernel, shapes="ranks unknown")
    columns = np.zeros((n, c, taps, rows, cols))
    shift = offset.reshape(n, offsets, taps, 2, rows, cols).astype(np.float64)
    at = np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij")
    for g, t in itertools.product(range(offsets), range(taps)):
        place = [
            at[d] * stride[d] - pads[d] + (t // kernel[1], t % kernel[1])[d] + shift[:, g, t, d]
            for d in range(2)
        ]
        grid = np.stack([2 * place[1] / 7 - 1, 2 * place[0] / 8 - 1], -1)
        part = slice(g * c // offsets, (g + 1) * c // offsets)
        samples = F.grid_sample(double(x[:, part]), double(grid), align_corners=True).numpy()
        columns[:, part, t] = samples * mask.reshape(n, offsets, taps, rows, cols)[:, None, g, t]
    grouped = columns.reshape(n, groups, c // groups * taps, -1)
    want = np.einsum("gok,ngkp->ngop", w.reshape(groups, o // groups, -1).astype(float), grouped)
    want = want.reshape(n, o, rows, cols) + b.reshape(1, -1, 1, 1)
    np.testing.assert_allclose(y, want, rtol=0, atol=40 * EPSILON * 4)


def test_col2im(program, tmp_path):
    x = random(2, 3 * 6, 4 * 3)
    given = dict(strides=[2, 1], pads=[0, 1, 1, 0], dilations=[1, 2])
    sizes = {"size": np.int64([8, 6]), "window": np.int64([2, 3])}
    for shapes in onnx_run.SHAPES:
        y = run(program, tmp_path, "Col2Im", {"x": x, **sizes}, shapes=shapes, **given)
        want = F.fold(double(x), (9, 7), (2, 3), (1, 2), 0, (2, 1)).numpy()[:, :, :8, 1:]
        np.testing.assert_allclose(y, want, rtol=1e-6, atol=1e-6)


# ---- pooling -------------------------------------------------------------------------------------

POOLS = [  # image, kernel, stride, dilation, pads, ceil
    ((13,), (3,), (2,), (1,), (1, 0), 0),
    ((9, 11), (3, 3), (2, 2), (1, 1), (1, 1, 1, 1), 0),
    ((10, 7), (3, 2), (2, 3), (1, 1), (1, 0, 1, 1), 1),
    ((10, 12), (3, 2), (2, 1), (2, 3), (1, 0, 0, 1), 1),
    ((9, 9), (4, 5), (1, 1), (1, 1), (3, 4, 3, 4), 0),
    ((5, 6, 7), (2, 3, 2), (2, 1, 2), (1, 2, 1), (0, 2, 1, 1, 0, 1), 1),
]


def windows(shape, case):
    """For each output coordinate: those of the taps, and how many lie in the padded image."""
    image, kernel, stride, dilation, pads, ceil = case
    rank, outs = len(image), []
    for i in range(rank):
        room = image[i] + pads[i] + pads[rank + i] - dilation[i] * (kernel[i] - 1) - 1
        out = room // stride[i] + 1
        if ceil and room % stride[i] and out * stride[i] < image[i] + pads[i]:
            out += 1
        outs.append(out)
    for at in np.ndindex(*outs):
        axes, inside = [], 1
        for i in range(rank):
            taps = [at[i] * stride[i] - pads[i] + k * dilation[i] for k in range(kernel[i])]
            inside *= sum(-pads[i] <= t < image[i] + pads[rank + i] for t in taps)
            axes.append([t for t in taps if 0 <= t < image[i]])
        yield outs, at, axes, inside


def pool(x, case, what):
    y = None
    for outs, at, axes, inside in windows(x.shape, case):
        y = np.zeros(x.shape[:2] + tuple(outs)) if y is None else y
        flat = x[(slice(None), slice(None), *np.ix_(*axes))].astype(np.float64)
        y[(slice(None), slice(None), *at)] = what(flat.reshape(*x.shape[:2], -1), inside)
    return y


POOL_KINDS = {
    "max": ("MaxPool", {}, lambda v, n: v.max(-1)),
    "average": ("AveragePool", {}, lambda v, n: v.mean(-1)),
    "average with padding": (
        "AveragePool",
        {"count_include_pad": 1},
        lambda v, n: v.sum(-1) / n,
    ),
    "norm": ("LpPool", {"p": 3}, lambda v, n: (np.abs(v) ** 3).sum(-1) ** (1 / 3)),
}


# Of integers there is only a largest one.
POOLED = [(kind, dtype) for kind in POOL_KINDS for dtype in ("f4", "f8", "f2")]
POOLED += [("max", "i1"), ("max", "u1")]


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("kind,dtype", POOLED)
@pytest.mark.parametrize("case", POOLS)
def test_pool(program, tmp_path, case, dtype, kind, shapes):
    operator, given, what = POOL_KINDS[kind]
    image, kernel, stride, dilation, pads, ceil = case
    if np.dtype(dtype).kind in "iu":
        x = np.random.default_rng(1).integers(0, 250, (2, 3, *image)).astype(dtype)
    else:
        x = random(2, 3, *image, dtype=dtype)
    y = run(program, tmp_path, operator, {"x": x}, shapes=shapes, kernel_shape=kernel,
            strides=stride, dilations=dilation, pads=pads, ceil_mode=ceil, **given)
    want = pool(x, case, what)
    assert y.dtype == dtype and y.shape == want.shape
    if kind == "max":
        np.testing.assert_array_equal(y, want)
    else:
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(y, want, rtol=0, atol=(np.prod(kernel) + 2) * eps)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("case", POOLS)
def test_max_pool_tells_where(program, tmp_path, case, order):
    image, kernel, stride, dilation, pads, ceil = case
    x = random(2, 3, *image)
    y, where = run(program, tmp_path, "MaxPool", {"x": x}, outputs=2, types=[FLOAT, INT64],
                   kernel_shape=kernel, strides=stride, dilations=dilation, pads=pads,
                   ceil_mode=ceil, storage_order=order)
    np.testing.assert_array_equal(y, pool(x, case, lambda v, n: v.max(-1)))
    assert where.dtype == np.int64
    flat = x.reshape(6, -1) if order == 0 else x.transpose(0, 1, *range(x.ndim - 1, 1, -1))
    np.testing.assert_array_equal(flat.reshape(-1)[where], y)


def test_max_pool_passes_nan_on(program, tmp_path):
    x = random(1, 1, 5, 5, 5)
    x[0, 0, 2, 2, 2] = np.nan
    y = run(program, tmp_path, "MaxPool", {"x": x}, kernel_shape=[2, 2, 2])
    want = F.max_pool3d(double(x), 2, 1).numpy()
    np.testing.assert_array_equal(y, want.astype(np.float32))


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 4, 5), (1, 2, 3, 4, 5), (0, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
def test_global_pools(program, tmp_path, shape, dtype, shapes):
    x = random(*shape, dtype=dtype)
    rows = x.reshape(*shape[:2], int(np.prod(shape[2:]))).astype(np.float64)
    for operator, want, given in (
        ("GlobalAveragePool", rows.mean(-1), {}),
        ("GlobalMaxPool", rows.max(-1), {}),
        ("GlobalLpPool", (rows**2).sum(-1) ** 0.5, {"p": 2}),
    ):
        y = run(program, tmp_path, operator, {"x": x}, shapes=shapes, **given)
        assert y.shape == shape[:2] + (1,) * (len(shape) - 2) and y.dtype == dtype
        np.testing.assert_allclose(
            y.reshape(want.shape), want, rtol=0, atol=70 * np.finfo(dtype).eps
        )


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("size", [None, (2, 3, 8, 9), (2, 3, 10, 11)])
def test_max_unpool(program, tmp_path, size, shapes):
    image = random(2, 3, 8, 9)
    x, where = F.max_pool2d(torch.from_numpy(image), 2, 2, 0, return_indices=True)
    base = np.arange(6).reshape(2, 3, 1, 1) * 72
    inside = where.numpy() // 9 * 8 + where.numpy() % 9  # of the 8 x 8 image windows tell
    keep = where.numpy() % 9 < 8
    where = np.arange(6).reshape(2, 3, 1, 1) * 64 + inside
    assert keep.all() and base.shape == (2, 3, 1, 1)
    inputs = {"x": x.numpy(), "i": where.astype(np.int64)}
    if size:
        inputs["s"] = np.int64(size)
    y = run(program, tmp_path, "MaxUnpool", inputs, shapes=shapes, kernel_shape=[2, 2],
            strides=[2, 2])
    want = np.zeros(size or (2, 3, 8, 8), np.float32)
    plain = np.zeros(2 * 3 * 8 * 8, np.float32)
    plain[where.reshape(-1)] = x.numpy().reshape(-1)
    want[:, :, :8, :8] = plain.reshape(2, 3, 8, 8)
    np.testing.assert_array_equal(y, want)


# ---- regions -------------------------------------------------------------------------------------


def regions(count, seed=7):
    corner = np.random.default_rng(seed).uniform(-4, 30, (count, 2))
    size = np.random.default_rng(seed + 1).uniform(-1, 30, (count, 2))
    return np.concatenate([corner, corner + size], 1).astype(np.float32)


@pytest.mark.parametrize("half", ["half_pixel", "output_half_pixel"])
@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("samples", [0, 2])
def test_roi_align(program, tmp_path, half, mode, samples):
    x, rois = random(2, 3, 17, 20), regions(6)
    inputs = {"x": x, "r": rois, "i": np.int64([0, 1, 1, 0, 1, 0])}
    given = dict(coordinate_transformation_mode=half, mode=mode, sampling_ratio=samples,
                 output_height=3, output_width=4, spatial_scale=0.5)
    y = run(program, tmp_path, "RoiAlign", inputs, opset=16, shapes="ranks unknown", **given)
    node = helper.make_node("RoiAlign", list(inputs), ["y"], **given)
    made = onnx_run.model([node], inputs, {"y": FLOAT}, 16)
    from onnx.reference import ReferenceEvaluator

    (want,) = ReferenceEvaluator(made).run(None, inputs)
    np.testing.assert_allclose(y, want, rtol=1e-5, atol=1e-5)


def test_max_roi_pool(program, tmp_path):
    x = random(2, 3, 17, 20)
    rois = np.concatenate([np.float32([[0], [1], [1], [0], [1], [0]]), regions(6)], 1)
    inputs = {"x": x, "r": rois}
    given = dict(pooled_shape=[3, 4], spatial_scale=0.5)
    y = run(program, tmp_path, "MaxRoiPool", inputs, opset=15, shapes="sizes unknown", **given)
    node = helper.make_node("MaxRoiPool", list(inputs), ["y"], **given)
    made = onnx_run.model([node], inputs, {"y": FLOAT}, 15)
    (want,) = onnx_run.run_onnxruntime(made, inputs)
    np.testing.assert_array_equal(y, want)


# ---- resampling ----------------------------------------------------------------------------------

COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
)
ROI = np.float32([0, 0, 0.1, -0.2, 1, 1, 0.8, 1.3])


def reference(made, inputs):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(made).run(None, inputs)[0]


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("how", COORDINATES)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("to", ["scales", "sizes", "halves", "doubles"])
def test_resize(program, tmp_path, mode, how, to, constant):
    x = random(2, 3, 8, 10)
    lists = {"roi": ROI if how == "tf_crop_and_resize" else np.float32([])}
    if to == "sizes":
        lists.update(empty=np.float32([]), sizes=np.int64([2, 3, 9, 4]))
    else:
        factors = {"scales": [1, 1, 1.7, 0.6], "halves": [1, 1, 0.5, 0.5], "doubles": [1, 1, 2, 4]}
        lists["scales"] = np.float32(factors[to])
    given = dict(mode=mode, coordinate_transformation_mode=how, extrapolation_value=7.5)
    variants = [{}]
    if mode == "nearest":
        names = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        variants = [{"nearest_mode": name} for name in names]
    elif mode == "cubic":
        variants = [{}, {"cubic_coeff_a": -0.5, "exclude_outside": 1}, {"antialias": 1}]
    elif how != "tf_crop_and_resize":
        variants = [{}, {"antialias": 1}]
    for more in variants:
        inputs, constants = ({"x": x}, lists) if constant else ({"x": x, **lists}, {})
        shapes = "known" if constant else "ranks unknown"
        y = run(program, tmp_path, "Resize", inputs, opset=19, constants=constants, shapes=shapes,
                **given, **more)
        node = helper.make_node("Resize", ["x", *lists], ["y"], **given, **more)
        made = onnx_run.model([node], {"x": x, **lists}, {"y": FLOAT}, 19)
        want = reference(made, {"x": x, **lists})
        assert y.shape == want.shape and y.dtype == np.float32
        np.testing.assert_allclose(y, want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.uint8, np.int32])
@pytest.mark.parametrize("policy", ["stretch", "not_larger", "not_smaller"])
def test_resize_of_other_types_and_ranks(program, tmp_path, mode, dtype, policy):
    x = (100 * random(5, 2, 6, 3, 2, dtype=np.float64)).astype(dtype)
    inputs = {"x": x, "r": np.float32([]), "s": np.float32([]), "sizes": np.int64([4, 9])}
    given = dict(mode=mode, axes=[-2, 0], keep_aspect_ratio_policy=policy)
    y = run(program, tmp_path, "Resize", inputs, opset=19, shapes="sizes unknown", **given)
    positive = {**given, "axes": [3, 0]}
    node = helper.make_node("Resize", list(inputs), ["y"], **positive)
    made = onnx_run.model([node], inputs, {"y": helper.np_dtype_to_tensor_dtype(x.dtype)}, 19)
    want = reference(made, inputs)
    assert y.shape == want.shape and y.dtype == dtype
    tolerance = 1 if np.dtype(dtype).kind in "iu" and mode != "nearest" else 0
    # the reference has its cubic coefficients in float32
    tolerance = 2e-3 * 100 if dtype == np.float16 else tolerance or 3e-4
    np.testing.assert_allclose(
        y.astype(np.float64), want.astype(np.float64), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("opset", [7, 9, 10])
@pytest.mark.parametrize("scale", [(2.0, 2.0), (1.5, 2.5)])
def test_upsample(program, tmp_path, opset, scale):
    x = random(1, 2, 3, 4)
    operator = "Resize" if opset == 10 else "Upsample"
    scales = np.float32([1, 1, *scale])
    given = {"scales": scales.tolist()} if opset == 7 else {}
    constants = {} if opset == 7 else {"s": scales}
    y = run(program, tmp_path, operator, {"x": x}, constants=constants, opset=opset,
            mode="nearest", **given)
    rows, cols = (np.floor(np.arange(int(n * s)) / s).astype(int) for n, s in zip((3, 4), scale))
    np.testing.assert_array_equal(y, x[:, :, rows][:, :, :, cols])


@pytest.mark.parametrize("shape", [(2, 3, 6, 7), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("outside", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_grid_sample(program, tmp_path, shape, mode, outside, corners, dtype):
    rank = len(shape) - 2
    x = random(*shape, dtype=dtype)
    grid = (2.4 * random(2, *range(3, 3 + rank), rank, seed=2)).astype(dtype)
    y = run(program, tmp_path, "GridSample", {"x": x, "g": grid}, opset=20, mode=mode,
            padding_mode=outside, align_corners=corners, shapes="sizes unknown")
    if mode == "cubic" and (rank == 3 or outside == "border"):
        # torch has no cubic volumes, and lets places outside keep their fraction at the border
        node = helper.make_node("GridSample", ["x", "g"], ["y"], mode=mode, padding_mode=outside,
                                align_corners=corners)
        inputs = {"x": x.astype(np.float32), "g": grid.astype(np.float32)}
        want = reference(onnx_run.model([node], inputs, {"y": FLOAT}, 20), inputs)
    else:
        name = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
        want = F.grid_sample(double(x), double(grid), name, outside, bool(corners)).numpy()
    assert y.shape == want.shape and y.dtype == dtype
    np.testing.assert_allclose(y, want, rtol=0, atol=2e-5)


@pytest.mark.filterwarnings("ignore:Since version 1.3.0")
@pytest.mark.parametrize("corners", [0, 1])
@pytest.mark.parametrize("size", [(2, 3, 4, 5), (2, 3, 1, 6), (2, 3, 4, 5, 2)])
def test_affine_grid(program, tmp_path, corners, size):
    rank = len(size) - 2
    theta = random(2, rank, rank + 1)
    for shapes in onnx_run.SHAPES:
        y = run(program, tmp_path, "AffineGrid", {"t": theta, "s": np.int64(size)}, opset=20,
                shapes=shapes, align_corners=corners)
        want = F.affine_grid(double(theta), size, bool(corners)).numpy()
        np.testing.assert_allclose(y, want, rtol=0, atol=4 * EPSILON)


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.float64, bool])
def test_center_crop_pad(program, tmp_path, dtype):
    x = (10 * random(5, 6, 3, 4)).astype(dtype)
    inputs = {"x": x, "s": np.int64([8, 2])}
    y = run(program, tmp_path, "CenterCropPad", inputs, shapes="ranks unknown", axes=[0, -1])
    want = np.zeros((8, 6, 3, 2), dtype)
    want[1:6] = x[..., 1:3]
    np.testing.assert_array_equal(y, want)
    assert y.dtype == dtype

"""Normalisations and losses of ONNX against PyTorch in double."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from onnx import helper

import onnx_run

DTYPES = (np.float32, np.float64, np.float16)


def element(dtype):
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def random(dims, seed, dtype, low=-1):
    return np.random.default_rng(seed).uniform(low, 1, dims).astype(dtype)


def wide(array):
    return torch.from_numpy(np.asarray(array).astype(np.float64))


def run_one(program, folder, node, given, shapes="known", opset=22, fixed=()):
    """Inputs named in `fixed` are in the file."""
    dtype = given["x"].dtype
    inputs = {k: v for k, v in given.items() if k not in fixed}
    constants = {k: v for k, v in given.items() if k in fixed}
    outputs = {name: element(dtype) for name in node.output}
    made = onnx_run.model([node], inputs, outputs, opset, constants, shapes)
    return onnx_run.run(program, folder, made, inputs)


def check(got, want, dtype, steps=8):
    """Within `steps` roundings of numbers of the size of the largest."""
    want = want.numpy()
    assert got.dtype == dtype and got.shape == want.shape
    atol = steps * float(np.finfo(dtype).eps) * np.abs(want).max(initial=1)
    np.testing.assert_allclose(got, want, rtol=0, atol=atol)


IMAGES = [(2, 6, 5, 7), (3, 4), (2, 6, 9), (1, 4, 2, 3, 4), (2, 4, 1, 2, 3, 2), (0, 4, 3), (0, 4)]


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("dims", IMAGES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fixed", [True, False])
def test_batch_norm(program, tmp_path, dims, dtype, shapes, fixed):
    names = ["x", "scale", "bias", "mean", "variance"]
    given = {n: random(dims if n == "x" else dims[1], i, dtype, 0.1 if n == "variance" else -1)
             for i, n in enumerate(names)}
    node = helper.make_node("BatchNormalization", names, ["y"], epsilon=1e-3)
    (y,) = run_one(program, tmp_path, node, given, shapes, 15, names[1:] if fixed else ())
    x, scale, bias, mean, variance = (wide(given[n]) for n in names)
    check(y, F.batch_norm(x, mean, variance, scale, bias, eps=float(np.float32(1e-3))), dtype)


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("dims", [d for d in IMAGES if len(d) > 2 and d[0]])
@pytest.mark.parametrize("dtype", DTYPES)
def test_instance_norm(program, tmp_path, dims, dtype, shapes):
    names = ["x", "scale", "bias"]
    given = {n: random(dims if n == "x" else dims[1], i, dtype) for i, n in enumerate(names)}
    node = helper.make_node("InstanceNormalization", names, ["y"], epsilon=1e-2)
    (y,) = run_one(program, tmp_path, node, given, shapes)
    x, scale, bias = (wide(given[n]) for n in names)
    check(y, F.instance_norm(x, None, None, scale, bias, eps=float(np.float32(1e-2))), dtype, 16)


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("dims,groups", [((2, 6, 5, 7), 3), ((2, 6, 9), 1), ((1, 4, 2, 3, 4), 4),
                                         ((3, 8), 2)])
@pytest.mark.parametrize("opset", [18, 21])
@pytest.mark.parametrize("dtype", DTYPES)
def test_group_norm(program, tmp_path, dims, groups, dtype, opset, shapes):
    names, count = ["x", "scale", "bias"], groups if opset < 21 else dims[1]
    given = {n: random(dims if n == "x" else count, i, dtype) for i, n in enumerate(names)}
    node = helper.make_node("GroupNormalization", names, ["y"], num_groups=groups, epsilon=1e-2)
    (y,) = run_one(program, tmp_path, node, given, shapes, opset)
    x, scale, bias = (wide(given[n]) for n in names)
    if opset < 21:
        scale, bias = (v.repeat_interleave(dims[1] // groups) for v in (scale, bias))
    check(y, F.group_norm(x, groups, scale, bias, float(np.float32(1e-2))), dtype, 16)


LAYERS = [((4, 10), -1), ((2, 3, 4, 5), 2), ((2, 3, 4, 5), -3), ((7,), 0), ((3, 4), 0),
          ((2, 600), 1)]


def standardised(x, axes, eps, rms):
    mean = torch.zeros(()) if rms else x.mean(axes, keepdim=True)
    inverse = ((x - mean).square().mean(axes, keepdim=True) + eps).rsqrt()
    return (x - mean) * inverse, mean, inverse


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("dims,axis", LAYERS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weights", ["whole", "broadcast", "no bias"])
@pytest.mark.parametrize("operator", ["LayerNormalization", "RMSNormalization"])
def test_layer_norm(program, tmp_path, dims, axis, dtype, shapes, weights, operator):
    rms = operator == "RMSNormalization"
    if shapes == "ranks unknown" and axis >= 0:
        axis -= len(dims)
    tail = dims[axis % len(dims):]
    given = {"x": random(dims, 1, dtype),
             "scale": random(tail[-1:] if weights == "broadcast" else tail, 2, dtype)}
    if weights != "no bias" and not rms:
        given["bias"] = random(tail, 3, dtype)
    outputs = ["y"] if rms or weights == "whole" else ["y", "mean", "inverse"]
    node = helper.make_node(operator, list(given), outputs, axis=axis, epsilon=1e-3)
    element_of = {"y": dtype}
    narrow = np.float32 if dtype is np.float16 else dtype
    dtypes = {name: element(element_of.get(name, narrow)) for name in outputs}
    made = onnx_run.model([node], given, dtypes, 23, shapes=shapes)
    got = onnx_run.run(program, tmp_path, made, given)
    axes = tuple(range(axis % len(dims), len(dims)))
    y, mean, inverse = standardised(wide(given["x"]), axes, float(np.float32(1e-3)), rms)
    y = y * wide(given["scale"]) + (wide(given["bias"]) if "bias" in given else 0)
    check(got[0], y, dtype, 16)
    for ours, want in zip(got[1:], (mean, inverse)):
        check(ours, want, np.float32 if dtype is np.float16 else dtype, 16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_moments_of_empty_rows(program, tmp_path, dtype):
    given = {"x": np.zeros((2, 3, 0), dtype), "scale": np.zeros(0, dtype)}
    node = helper.make_node("LayerNormalization", list(given), ["y", "mean", "inverse"])
    narrow = np.float32 if dtype is np.float16 else dtype
    outputs = {"y": element(dtype), "mean": element(narrow), "inverse": element(narrow)}
    made = onnx_run.model([node], given, outputs)
    y, mean, inverse = onnx_run.run(program, tmp_path, made, given)
    assert y.shape == (2, 3, 0) and mean.shape == inverse.shape == (2, 3, 1)
    assert np.isnan(mean).all() and np.isnan(inverse).all()


def test_large_mean_of_many_doubles(program, tmp_path):
    given = {"x": random((1, 1, 512, 512), 1, np.float64) + 1e4, "scale": np.ones(1),
             "bias": np.zeros(1)}
    node = helper.make_node("InstanceNormalization", list(given), ["y"])
    (y,) = run_one(program, tmp_path, node, given)
    x = given["x"].astype(np.longdouble)
    x -= x.mean()
    want = x / np.sqrt((x**2).mean() + np.float32(1e-5))
    np.testing.assert_allclose(y, want.astype(np.float64), rtol=0, atol=2e-11)


@pytest.mark.parametrize("operator", ["GroupNormalization", "InstanceNormalization"])
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_weights_of_another_type(program, tmp_path, operator, dtype):
    """Behind a convolution, so that the image has channels last, and with an activation."""
    given = {"x": random((2, 6, 5, 7), 1, np.float32), "w": random((6, 6, 1, 1), 2, np.float32),
             "scale": random(6, 3, dtype), "bias": random(6, 4, dtype)}
    group = operator[0] == "G"
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"]),
             helper.make_node(operator, ["c", "scale", "bias"], ["n"],
                              **({"num_groups": 3} if group else {})),
             helper.make_node("Relu", ["n"], ["y"])]
    made = onnx_run.model(nodes, given, {"y": element(np.float32)}, 22)
    (y,) = onnx_run.run(program, tmp_path, made, given)
    x, w, scale, bias = (wide(v) for v in given.values())
    want = F.group_norm(F.conv2d(x, w), 3 if group else 6, scale, bias, float(np.float32(1e-5)))
    check(y, want.relu(), np.float32, 32)


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("p,axis", itertools.product([1, 2], [-1, 0, 1]))
@pytest.mark.parametrize("dtype", DTYPES)
def test_lp_norm(program, tmp_path, p, axis, dtype, shapes):
    x = random((5, 6, 7), 1, dtype)
    x[:, 2] = x[1] = x[:, :, 3] = 0
    node = helper.make_node("LpNormalization", ["x"], ["y"], p=p, axis=axis)
    (y,) = run_one(program, tmp_path, node, {"x": x}, shapes)
    check(y, F.normalize(wide(x), p=p, dim=axis), dtype)


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("axes", [None, [1], [-1, 0]])
@pytest.mark.parametrize("dtype", DTYPES)
def test_mean_variance(program, tmp_path, axes, dtype, shapes):
    x = random((3, 4, 5, 6), 1, dtype)
    node = helper.make_node("MeanVarianceNormalization", ["x"], ["y"],
                            **({"axes": axes} if axes else {}))
    (y,) = run_one(program, tmp_path, node, {"x": x}, shapes)
    axes = tuple(axes or (0, 2, 3))
    centred = wide(x) - wide(x).mean(axes, keepdim=True)
    check(y, centred / (centred.square().mean(axes, keepdim=True).sqrt() + 1e-9), dtype, 16)


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("size,beta", [(1, 0.75), (3, 0.75), (4, 0.6), (9, 0.75)])
@pytest.mark.parametrize("dims", [(2, 7, 5, 60), (2, 3, 4), (3, 5)])
def test_lrn(program, tmp_path, size, beta, dims, shapes):
    x = 3 * random(dims, 1, np.float32)
    node = helper.make_node("LRN", ["x"], ["y"], size=size, alpha=0.3, beta=beta, bias=1.5)
    (y,) = run_one(program, tmp_path, node, {"x": x}, shapes)
    square = np.pad(x.astype(np.float64) ** 2, [(0, 0), ((size - 1) // 2, size // 2)]
                    + [(0, 0)] * (len(dims) - 2))
    sums = sum(square[:, k : k + dims[1]] for k in range(size))
    want = x / (1.5 + np.float64(np.float32(0.3)) / size * sums) ** np.float64(np.float32(beta))
    check(y, torch.from_numpy(want), np.float32)


# ---- losses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shapes", onnx_run.SHAPES)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("dims", [(6, 5), (3, 5, 7), (2, 4, 3, 5)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", [None, 1, -7])
def test_losses(program, tmp_path, reduction, dims, weighted, ignored, shapes):
    rng = np.random.default_rng(4)
    dtype = (np.float32, np.float64)[len(dims) % 2]
    target = rng.integers(0, dims[1], (dims[0], *dims[2:]))
    attributes = {"reduction": reduction}
    if ignored is not None:
        target.flat[::3] = ignored
        attributes["ignore_index"] = ignored
    target = target.astype(np.int32 if weighted else np.int64)
    given = {"x": 3 * random(dims, 1, dtype), "target": target}
    if weighted:
        given["weight"] = random(dims[1], 2, dtype, 0.1)
    options = {"weight": wide(given["weight"]) if weighted else None, "reduction": reduction,
               "ignore_index": -100 if ignored is None else ignored}
    x, where = wide(given["x"]), torch.from_numpy(target.astype(np.int64))
    node = helper.make_node("NegativeLogLikelihoodLoss", list(given), ["y"], **attributes)
    (y,) = run_one(program, tmp_path, node, given, shapes)
    check(y, F.nll_loss(x, where, **options), dtype)
    node = helper.make_node("SoftmaxCrossEntropyLoss", list(given), ["y", "logs"], **attributes)
    y, logs = run_one(program, tmp_path, node, given, shapes, 13)
    check(y, F.cross_entropy(x, where, **options), dtype)
    check(logs, F.log_softmax(x, 1), dtype)



# Four equal numbers have the same softmax wherever they lie, up to the largest.
@pytest.mark.parametrize("x", [1e3, 1e5, 1e9, 1e20, np.finfo(np.float32).max])
@pytest.mark.parametrize("operator", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_of_large_numbers(program, tmp_path, cpu, x, operator, axis):
    row = np.float32([x, x, x, x, x * 0.5, 0, -x, x])
    given = {"x": np.ascontiguousarray(np.stack([row, -row]).reshape(2, 8).swapaxes(0, 1 - axis))}
    made = onnx_run.model([helper.make_node(operator, ["x"], ["y"], axis=axis)], given, {"y": 1})
    (y,) = onnx_run.run(program, tmp_path, made, given, "--cpu", cpu)
    function = F.softmax if operator == "Softmax" else F.log_softmax
    with np.errstate(over="ignore"):
        want = function(wide(given["x"]), axis).numpy().astype(np.float32)
    np.testing.assert_allclose(y, want, rtol=3e-7, atol=1e-30)

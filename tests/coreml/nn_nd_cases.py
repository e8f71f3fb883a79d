"""Layers of Core ML neural networks since iOS 13, and what NumPy or PyTorch computes for each."""

import numpy as np
import torch
import torch.nn.functional as F
from coreml_run import Case
from nn_cases import T, f, rng

ND = []


def nd(*fields):
    ND.append(Case(*fields))


# ---- later: shapes as they are
a = f(2, 3, 4, 5)
A = T(a)
k3 = f(3, 1, 5)
for name, fn in (
    ("add", np.add),
    ("subtract", np.subtract),
    ("multiply", np.multiply),
    ("divide", np.divide),
    ("max", np.maximum),
    ("min", np.minimum),
    ("floor_div", np.floor_divide),
    ("mod", np.mod),
):
    nd(
        name + "Broadcastable",
        lambda n, k=name: getattr(n, f"add_{k}_broadcastable")(*(["l", ["in0", "in1"], "out0"])),
        [a, k3],
        fn(a, k3),
    )
nd(
    "powBroadcastable",
    lambda n: n.add_pow_broadcastable("l", ["in0", "in1"], "out0"),
    [np.abs(a), k3],
    np.abs(a) ** k3,
)
i1, i2 = rng.integers(-2, 3, (3, 4)).astype("f"), rng.integers(-2, 3, (3, 4)).astype("f")
nd(
    "greaterThan",
    lambda n: n.add_greater_than("l", ["in0", "in1"], "out0"),
    [i1, i2],
    (i1 > i2).astype("f"),
)
nd(
    "greaterEqual",
    lambda n: n.add_greater_than("l", ["in0", "in1"], "out0", use_greater_than_equal=True),
    [i1, i2],
    (i1 >= i2).astype("f"),
)
nd(
    "lessThan",
    lambda n: n.add_less_than("l", ["in0"], "out0", alpha=0.5),
    [i1],
    (i1 < 0.5).astype("f"),
)
nd("equal", lambda n: n.add_equal("l", ["in0", "in1"], "out0"), [i1, i2], (i1 == i2).astype("f"))
nd(
    "notEqual",
    lambda n: n.add_not_equal("l", ["in0"], "out0", alpha=1.0),
    [i1],
    (i1 != 1).astype("f"),
)
for mode, fn in (("AND", np.logical_and), ("OR", np.logical_or), ("XOR", np.logical_xor)):
    nd(
        "logical" + mode,
        lambda n, m=mode: n.add_logical("l", ["in0", "in1"], "out0", m),
        [i1, i2],
        fn(i1, i2).astype("f"),
    )
nd(
    "logicalNot",
    lambda n: n.add_logical("l", ["in0"], "out0", "NOT"),
    [i1],
    np.logical_not(i1).astype("f"),
)
nd(
    "whereBroadcastable",
    lambda n: n.add_where_broadcastable("l", ["in0", "in1", "in2"], "out0"),
    [i1, i2, i2 + 1],
    np.where(i1 != 0, i2, i2 + 1),
)
nd(
    "whereNonZero",
    lambda n: n.add_where_nonzero("l", "in0", "out0"),
    [i1],
    np.argwhere(i1).astype("f"),
)
nd("clip", lambda n: n.add_clip("l", "in0", "out0", -0.5, 0.5), [a], a.clip(-0.5, 0.5))
for name, fn in dict(
    ceil=np.ceil,
    floor=np.floor,
    sign=np.sign,
    round=np.round,
    sin=np.sin,
    cos=np.cos,
    tan=np.tan,
    atan=np.arctan,
    sinh=np.sinh,
    cosh=np.cosh,
    tanh=np.tanh,
    asinh=np.arcsinh,
    exp2=np.exp2,
).items():
    nd(name, lambda n, k=name: getattr(n, "add_" + k)("l", "in0", "out0"), [a], fn(a))
u = rng.uniform(-0.9, 0.9, (3, 4)).astype("f")
for name, fn in dict(asin=np.arcsin, acos=np.arccos, atanh=np.arctanh).items():
    nd(name, lambda n, k=name: getattr(n, "add_" + k)("l", "in0", "out0"), [u], fn(u))
nd("acosh", lambda n: n.add_acosh("l", "in0", "out0"), [np.abs(a) + 1], np.arccosh(np.abs(a) + 1))
nd("erf", lambda n: n.add_erf("l", "in0", "out0"), [a], torch.erf(A))
for mode, want in (
    ("EXACT", F.gelu(A)),
    ("TANH_APPROXIMATION", F.gelu(A, approximate="tanh")),
    ("SIGMOID_APPROXIMATION", A * torch.sigmoid(1.702 * A)),
):
    nd("gelu " + mode, lambda n, m=mode: n.add_gelu("l", "in0", "out0", m), [a], want)
nd(
    "clampedReLU",
    lambda n: n.add_clamped_relu("l", "in0", "out0", 0.3, 0.8),
    [a],
    np.minimum(np.where(a >= 0, a, 0.3 * a), 0.8),
)
nd("softmaxND", lambda n: n.add_softmax_nd("l", "in0", "out0", 2), [a], F.softmax(A, 2))
e = f(2, 3, 4, 5)
nd(
    "concatND",
    lambda n: n.add_concat_nd("l", ["in0", "in1"], "out0", 2),
    [a, e],
    np.concatenate([a, e], 2),
)
nd(
    "concatND interleaved",
    lambda n: n.add_concat_nd("l", ["in0", "in1"], "out0", 1, True),
    [a, e],
    np.stack([a, e], 2).reshape(2, 6, 4, 5),
)
nd(
    "splitND",
    lambda n: n.add_split_nd("l", "in0", ["out0", "out1"], 2, split_sizes=[1, 3]),
    [a],
    [a[:, :, :1], a[:, :, 1:]],
)
nd("stack", lambda n: n.add_stack("l", ["in0", "in1"], "out0", 1), [a, e], np.stack([a, e], 1))
nd("tile", lambda n: n.add_tile("l", "in0", "out0", [1, 2, 1, 3]), [a], np.tile(a, [1, 2, 1, 3]))
nd(
    "transpose",
    lambda n: n.add_transpose("l", [2, 0, 3, 1], "in0", "out0"),
    [a],
    a.transpose(2, 0, 3, 1),
)
nd("expandDims", lambda n: n.add_expand_dims("l", "in0", "out0", [0, -1]), [u], u[None, :, :, None])
nd("squeeze", lambda n: n.add_squeeze("l", "in0", "out0", [1]), [u[:, None]], u)
nd(
    "squeezeAll",
    lambda n: n.add_squeeze("l", "in0", "out0", squeeze_all=True),
    [u[None, :, None]],
    u,
)
nd(
    "reshapeStatic",
    lambda n: n.add_reshape_static("l", "in0", "out0", [6, -1]),
    [a],
    a.reshape(6, -1),
)
nd(
    "rankPreservingReshape",
    lambda n: n.add_rank_preserving_reshape("l", "in0", "out0", [0, -1, 2, 5]),
    [a],
    a.reshape(2, -1, 2, 5),
)
nd(
    "reshapeLike",
    lambda n: n.add_reshape_like("l", ["in0", "in1"], "out0"),
    [u, f(4, 3)],
    u.reshape(4, 3),
)
nd("flattenTo2D", lambda n: n.add_flatten_to_2d("l", "in0", "out0", 2), [a], a.reshape(6, 20))
nd(
    "broadcastToStatic",
    lambda n: n.add_broadcast_to_static("l", "in0", "out0", [2, 3, 4, 5]),
    [k3],
    np.broadcast_to(k3, (2, 3, 4, 5)),
)
nd(
    "broadcastToLike",
    lambda n: n.add_broadcast_to_like("l", ["in0", "in1"], "out0"),
    [k3, a],
    np.broadcast_to(k3, (2, 3, 4, 5)),
)
nd(
    "sliceStatic",
    lambda n: n.add_slice_static(
        "l",
        "in0",
        "out0",
        [0, 1, -1, 0],
        [2, 3, 0, 4],
        [1, 1, -2, 2],
        [True, False, False, False],
        [False, True, True, False],
    ),
    [a],
    a[:, 1:, -1::-2, 0:4:2],
)
nd(
    "sliceStatic squeezed",
    lambda n: n.add_slice_static(
        "l",
        "in0",
        "out0",
        [0, 1, 0, -1],
        [2, 2, 4, 0],
        [1, 1, 1, 1],
        [False] * 4,
        [False] * 4,
        [False, True, False, True],
    ),
    [a],
    a[:, 1, :, -1],
)
nd(
    "sliceDynamic",
    lambda n: n.add_slice_dynamic(
        "l",
        ["in0", "in1", "in2"],
        "out0",
        strides=[1, 1, 1, 2],
        begin_masks=[True, False, False, False],
        end_masks=[False, False, False, True],
    ),
    [a, np.array([9, 1, 1, 0], "f"), np.array([2, 3, 3, 0], "f")],
    a[:2, 1:3, 1:3, ::2],
)
nd(
    "sliceBySize",
    lambda n: n.add_slice_by_size("l", ["in0", "in1"], "out0", 2, 2),
    [a, np.array([1], "f")],
    a[:, :, 1:3],
)
ix = np.array([[2, 0], [1, -1]], "f")
nd(
    "gather",
    lambda n: n.add_gather("l", ["in0", "in1"], "out0", 1),
    [a, ix],
    np.take(a, ix.astype(int), 1),
)
nd(
    "gatherND",
    lambda n: n.add_gather_nd("l", ["in0", "in1"], "out0"),
    [a, np.array([[0, 1], [1, 2]], "f")],
    a[[0, 1], [1, 2]],
)
g2 = np.array([[0, 3], [1, 2], [3, 3]], "f")
nd(
    "gatherAlongAxis",
    lambda n: n.add_gather_along_axis("l", ["in0", "in1"], "out0", 1),
    [u, g2],
    np.take_along_axis(u, g2.astype(int), 1),
)
nd(
    "scatter",
    lambda n: n.add_scatter("l", ["in0", "in1", "in2"], "out0", 0, "ADD"),
    [
        np.array([[1, 2, 3], [4, 5, 6]], "f"),
        np.array([1, 0], "f"),
        np.array([[5, 6, 7], [8, 9, 10]], "f"),
    ],
    np.array([[9, 11, 13], [9, 11, 13]], "f"),
)
sd, su = f(3, 4, 5), f(3, 2, 5)
sw = sd.copy()
sw[:, [3, 1]] -= su
nd(
    "scatter along 1",
    lambda n: n.add_scatter("l", ["in0", "in1", "in2"], "out0", 1, "SUB"),
    [sd, np.array([3, 1], "f"), su],
    sw,
)
sn = u.copy()
sn[[0, 2], [1, 3]] = [9, 8]
nd(
    "scatterND",
    lambda n: n.add_scatter_nd("l", ["in0", "in1", "in2"], "out0", "UPDATE"),
    [u, np.array([[0, 1], [2, 3]], "f"), np.array([9, 8], "f")],
    sn,
)
tv, ti = torch.topk(A, 2, 2)
nd("topK", lambda n: n.add_topk("l", ["in0"], ["out0", "out1"], 2, 2), [a], [tv, ti.float()])
bv, bi2 = torch.topk(A, 2, 1, largest=False)
nd(
    "bottomK",
    lambda n: n.add_topk("l", ["in0"], ["out0", "out1"], 2, 1, True),
    [a],
    [bv, bi2.float()],
)
nd(
    "argMax",
    lambda n: n.add_argmax("l", "in0", "out0", 1, keepdims=False),
    [a],
    a.argmax(1).astype("f"),
)
nd(
    "argMin",
    lambda n: n.add_argmin("l", "in0", "out0", -1),
    [a],
    a.argmin(-1)[..., None].astype("f"),
)
nd(
    "argSort",
    lambda n: n.add_argsort("l", "in0", "out0", 2, True),
    [a],
    (-a).argsort(2, kind="stable").astype("f"),
)
v3 = np.array([4, 6, 7], "f")
for ex, rev, want in (
    (False, False, [4, 10, 17]),
    (True, False, [0, 4, 10]),
    (False, True, [17, 13, 7]),
    (True, True, [13, 7, 0]),
):
    nd(
        f"cumSum {ex} {rev}",
        lambda n, ex=ex, rev=rev: n.add_cumsum("l", ["in0"], "out0", 0, rev, ex),
        [v3],
        np.array(want, "f"),
    )
oh = np.array([1, 3, 5, -1], "f")
nd(
    "oneHot",
    lambda n: n.add_one_hot("l", ["in0"], "out0", 4, 0, 2.0, 0.5),
    [oh],
    np.where(np.arange(4)[:, None] == oh[None], 2, 0.5).astype("f"),
)
nd(
    "reverse",
    lambda n: n.add_reverse("l", "in0", "out0", [False, True, False, True]),
    [a],
    a[:, ::-1, :, ::-1],
)
nd(
    "reverseSeq",
    lambda n: n.add_reverse_sequence("l", ["in0", "in1"], "out0", 0, 1),
    [np.arange(8, dtype="f").reshape(2, 4), np.array([3, 0], "f")],
    np.array([[2, 1, 0, 3], [4, 5, 6, 7]], "f"),
)
w8 = f(2, 8, 3)
nd(
    "slidingWindows",
    lambda n: n.add_sliding_windows("l", "in0", "out0", 1, 3, 2),
    [w8],
    np.stack([w8[:, i : i + 3] for i in (0, 2, 4)], 1),
)
m1, m2 = f(2, 3, 4, 5), f(2, 3, 6, 5)
nd(
    "batchedMatmul",
    lambda n: n.add_batched_mat_mul("l", ["in0", "in1"], "out0", transpose_b=True),
    [m1, m2],
    m1 @ m2.swapaxes(-1, -2),
)
wb, bb = f(5, 7), f(7)
nd(
    "batchedMatmul weights",
    lambda n: n.add_batched_mat_mul(
        "l", ["in0"], "out0", weight_matrix_rows=5, weight_matrix_columns=7, W=wb, bias=bb
    ),
    [m1],
    m1 @ wb + bb,
)
en = f(5, 8)
nd(
    "embeddingND",
    lambda n: n.add_embedding_nd("l", "in0", "out0", 8, 5, en),
    [np.array([[3], [0]], "f")],
    en.T[[3, 0]],
)
gl, bl = f(4, 5), f(4, 5)
nd(
    "layerNormalization",
    lambda n: n.add_layer_normalization("l", "in0", "out0", (4, 5), gl, bl, 1e-3),
    [a],
    F.layer_norm(A, (4, 5), T(gl), T(bl), 1e-3),
)
nd(
    "loadConstantND",
    lambda n: (
        n.add_load_constant_nd("c", "k", k3, k3.shape),
        n.add_add_broadcastable("l", ["in0", "k"], "out0"),
    ),
    [a],
    a + k3,
)
nd(
    "fillLike",
    lambda n: (
        n.add_fill_like("c", "in0", "k", 2.5),
        n.add_add_broadcastable("l", ["in0", "k"], "out0"),
    ),
    [u],
    u + 2.5,
)
nd(
    "fillStatic",
    lambda n: (
        n.add_fill_static("c", "k", (3, 4), 2.5),
        n.add_add_broadcastable("l", ["in0", "k"], "out0"),
    ),
    [u],
    u + 2.5,
)
nd(
    "rangeStatic",
    lambda n: (
        n.add_range_static("c", "k", end=4, start=1, step=0.5),
        n.add_add_broadcastable("l", ["in0", "k"], "out0"),
    ),
    [np.zeros(6, "f")],
    np.arange(1, 4, 0.5).astype("f"),
)
nd("getShape", lambda n: n.add_get_shape("l", "in0", "out0"), [a], np.array([2, 3, 4, 5], "f"))
for name, fn in dict(
    l1=lambda t: t.abs().sum((1, 3)),
    l2=lambda t: (t**2).sum((1, 3)).sqrt(),
    max=lambda t: t.amax((1, 3)),
    min=lambda t: t.amin((1, 3)),
    sum=lambda t: t.sum((1, 3)),
    mean=lambda t: t.mean((1, 3)),
    sumsquare=lambda t: (t**2).sum((1, 3)),
    logsumexp=lambda t: torch.logsumexp(t, (1, 3)),
).items():
    nd(
        "reduce " + name,
        lambda n, k=name: getattr(n, "add_reduce_" + k)("l", "in0", "out0", [1, -1], False),
        [a],
        fn(A),
    )
nd(
    "reduce all",
    lambda n: n.add_reduce_sum("l", "in0", "out0", [0], False, True),
    [a],
    A.sum().reshape(1),
)
nd(
    "constantPad",
    lambda n: n.add_constant_pad("l", ["in0"], "out0", 1.5, False, [0, 0, 1, 2, 0, 0, 3, 0]),
    [a],
    np.pad(a, [(0, 0), (1, 2), (0, 0), (3, 0)], constant_values=1.5),
)
nd(
    "constantPad to size",
    lambda n: n.add_constant_pad("l", ["in0"], "out0", 1.5, True, [0, 0, 7, 0, 0, 0, 0, 9]),
    [a],
    np.pad(a, [(0, 0), (4, 0), (0, 0), (0, 4)], constant_values=1.5),
)
bp = f(5, 6)
nd(
    "matrixBandPart",
    lambda n: n.add_matrix_band_part("l", "in0", "out0", 1, 2),
    [bp],
    np.triu(np.tril(bp, 2), -1),
)
nd("lowerTriangular", lambda n: n.add_lower_triangular("l", "in0", "out0", 1), [bp], np.tril(bp, 1))
nd(
    "upperTriangular",
    lambda n: n.add_upper_triangular("l", "in0", "out0", -1),
    [bp],
    np.triu(bp, -1),
)
v, w5 = f(1, 2, 5, 6, 7), f(4, 2, 3, 3, 3)
nd(
    "convolution3d",
    lambda n: n.add_convolution3d(
        "l",
        2,
        4,
        3,
        3,
        3,
        w5,
        None,
        False,
        1,
        stride_depth=2,
        stride_height=2,
        stride_width=2,
        padding_mode="same",
        input_name="in0",
        output_name="out0",
    ),
    [v],
    F.conv3d(F.pad(T(v), (1, 1, 0, 1, 1, 1)), T(w5), stride=2),
)
for name, groups, shape, padding, torch_padding in (
    ("valid", 1, None, {"padding_mode": "valid"}, {}),
    ("custom", 2, None, {"padding_mode": "custom", "padding_front": 1, "padding_back": 1,
                         "padding_top": 2, "padding_bottom": 2}, {"padding": (1, 2, 0)}),
    ("to a size", 1, (10, 12, 15), {"padding_mode": "custom", "padding_front": 1},
     {"padding": (1, 0, 0), "output_padding": (1, 0, 0)}),
):
    w6 = f(6 // groups, 2, 3, 2, 3)
    want = F.conv_transpose3d(T(v), T(w6).transpose(0, 1), stride=(2, 2, 2), groups=groups,
                              **torch_padding)
    assert shape is None or want.shape[2:] == shape
    nd(
        f"convolution3d transposed, {name}",
        lambda n, w6=w6, groups=groups, shape=shape, padding=padding: n.add_convolution3d(
            "l", 2, 6, 3, 2, 3, w6, None, False, groups, stride_depth=2, stride_height=2,
            stride_width=2, is_deconv=True, output_shape=shape, input_name="in0",
            output_name="out0", **padding),
        [v],
        want,
    )
nd(
    "pooling3d",
    lambda n: n.add_pooling3d("l", "in0", "out0", "MAX", 2, 2, 2, 2, 2, 2),
    [v],
    F.max_pool3d(T(v), 2, 2),
)
nd(
    "globalPooling3d",
    lambda n: n.add_global_pooling3d("l", "in0", "out0", "AVERAGE"),
    [v],
    T(v).mean((2, 3, 4), keepdim=True),
)
nd(
    "copy",
    lambda n: (n.add_copy("c", "in0", "k"), n.add_add_broadcastable("l", ["in0", "k"], "out0")),
    [u],
    2 * u,
)

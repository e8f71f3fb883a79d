"""Layers of Core ML neural networks, each with what NumPy or PyTorch computes for it."""

import numpy as np
import torch
import torch.nn.functional as F
from coreml_run import Case

OLD = []
T = torch.tensor
rng = np.random.default_rng(2)


def old(*fields):
    OLD.append(Case(*fields))


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


# ---- the iOS 12 world: (C,H,W) in, rank 5 inside
x = f(3, 6, 7)
X = T(x)[None]
w, b = f(4, 3, 3, 3), f(4)
old(
    "convolution",
    lambda n: n.add_convolution(
        "l",
        3,
        4,
        3,
        3,
        2,
        2,
        "valid",
        1,
        w.transpose(2, 3, 1, 0),
        b,
        True,
        input_name="in0",
        output_name="out0",
        padding_top=1,
        padding_bottom=1,
        padding_left=1,
        padding_right=0,
    ),
    [x],
    F.conv2d(F.pad(X, (1, 0, 1, 1)), T(w), T(b), 2),
)
for mode, pads in (("BOTTOM_RIGHT_HEAVY", (0, 1, 0, 1)), ("TOP_LEFT_HEAVY", (1, 0, 1, 0))):
    w2 = f(4, 3, 2, 2)
    old(
        "same " + mode,
        lambda n, m=mode, w2=w2: n.add_convolution(
            "l",
            3,
            4,
            2,
            2,
            1,
            1,
            "same",
            1,
            w2.transpose(2, 3, 1, 0),
            None,
            False,
            input_name="in0",
            output_name="out0",
            same_padding_asymmetry_mode=m,
        ),
        [x],
        F.conv2d(F.pad(X, pads), T(w2)),
    )
wd = f(3, 4, 4, 4)
old(
    "deconvolution",
    lambda n: n.add_convolution(
        "l",
        3,
        4,
        4,
        4,
        2,
        2,
        "valid",
        1,
        wd.transpose(2, 3, 0, 1),
        None,
        False,
        is_deconv=True,
        input_name="in0",
        output_name="out0",
        padding_top=1,
        padding_bottom=1,
        padding_left=1,
        padding_right=1,
    ),
    [x],
    F.conv_transpose2d(X, T(wd), stride=2, padding=1),
)
wg = f(6, 1, 3, 3)
old(
    "groups",
    lambda n: n.add_convolution(
        "l",
        1,
        6,
        3,
        3,
        1,
        1,
        "valid",
        3,
        wg.transpose(2, 3, 1, 0),
        None,
        False,
        input_name="in0",
        output_name="out0",
    ),
    [x],
    F.conv2d(X, T(wg), groups=3),
)
wi, bi = f(5, 126), f(5)
old(
    "innerProduct",
    lambda n: n.add_inner_product("l", wi, bi, 126, 5, True, "in0", "out0"),
    [x],
    F.linear(X.flatten(1), T(wi), T(bi)).reshape(1, 5, 1, 1),
)
ga, be, me, va = f(3), f(3), f(3), np.abs(f(3)) + np.float32(0.1)
old(
    "batchnorm",
    lambda n: n.add_batchnorm("l", 3, ga, be, me, va, "in0", "out0"),
    [x],
    F.batch_norm(X, T(me), T(va), T(ga), T(be)),
)
old(
    "instance norm",
    lambda n: n.add_batchnorm(
        "l",
        3,
        ga,
        be,
        None,
        None,
        "in0",
        "out0",
        compute_mean_var=True,
        instance_normalization=True,
    ),
    [x],
    F.instance_norm(X, weight=T(ga), bias=T(be)),
)
for kind, params, want in [
    ("RELU", None, F.relu(X)),
    ("LEAKYRELU", [0.2], F.leaky_relu(X, 0.2)),
    ("TANH", None, torch.tanh(X)),
    ("SIGMOID", None, torch.sigmoid(X)),
    ("LINEAR", [0.3, 0.4], 0.3 * X + 0.4),
    ("SCALED_TANH", [1.7, 0.6], 1.7 * torch.tanh(0.6 * X)),
    ("SIGMOID_HARD", [0.3, 0.4], (0.3 * X + 0.4).clamp(0, 1)),
    ("ELU", 0.7, F.elu(X, 0.7)),
    ("SOFTSIGN", None, F.softsign(X)),
    ("SOFTPLUS", None, F.softplus(X)),
    ("THRESHOLDEDRELU", 0.3, torch.where(X >= 0.3, X, 0 * X)),
    ("PRELU", np.array([0.1, 0.2, 0.3], "f"), F.prelu(X, T(np.array([0.1, 0.2, 0.3], "f")))),
    (
        "PARAMETRICSOFTPLUS",
        [np.array([1, 2, 3], "f"), np.array([0.5, 1, 2], "f")],
        T(np.array([1, 2, 3], "f")).view(3, 1, 1)
        * torch.log1p(torch.exp(T(np.array([0.5, 1, 2], "f")).view(3, 1, 1) * X)),
    ),
]:
    old(
        "activation " + kind,
        lambda n, k=kind, p=params: n.add_activation("l", k, "in0", "out0", p),
        [x],
        want,
    )
old(
    "max pool",
    lambda n: n.add_pooling(
        "l",
        3,
        3,
        2,
        2,
        "MAX",
        "VALID",
        "in0",
        "out0",
        padding_top=1,
        padding_bottom=1,
        padding_left=1,
        padding_right=1,
    ),
    [x],
    F.max_pool2d(X, 3, 2, 1),
)
old(
    "average pool",
    lambda n: n.add_pooling(
        "l",
        3,
        3,
        2,
        2,
        "AVERAGE",
        "VALID",
        "in0",
        "out0",
        exclude_pad_area=True,
        padding_top=1,
        padding_bottom=1,
        padding_left=1,
        padding_right=1,
    ),
    [x],
    F.avg_pool2d(X, 3, 2, 1, count_include_pad=False),
)
old(
    "average pool with borders",
    lambda n: n.add_pooling(
        "l",
        3,
        3,
        2,
        2,
        "AVERAGE",
        "VALID",
        "in0",
        "out0",
        exclude_pad_area=False,
        padding_top=1,
        padding_bottom=1,
        padding_left=1,
        padding_right=1,
    ),
    [x],
    F.avg_pool2d(X, 3, 2, 1),
)
old(
    "includeLastPixel",
    lambda n: n.add_pooling("l", 3, 3, 2, 2, "MAX", "INCLUDE_LAST_PIXEL", "in0", "out0"),
    [x],
    F.max_pool2d(X, 3, 2, 0, ceil_mode=True),
)
old(
    "l2 pool",
    lambda n: n.add_pooling("l", 2, 2, 2, 2, "L2", "VALID", "in0", "out0"),
    [x],
    F.lp_pool2d(X, 2, 2),
)
old(
    "global pool",
    lambda n: n.add_pooling("l", 0, 0, 1, 1, "AVERAGE", "VALID", "in0", "out0", is_global=True),
    [x],
    X.mean((2, 3), keepdim=True),
)
for kind, want in (
    ("constant", F.pad(X, (1, 2, 0, 1), value=1.5)),
    ("reflection", F.pad(X, (1, 2, 0, 1), "reflect")),
    ("replication", F.pad(X, (1, 2, 0, 1), "replicate")),
):
    old(
        "padding " + kind,
        lambda n, k=kind: n.add_padding("l", 1, 2, 0, 1, 1.5, "in0", "out0", padding_type=k),
        [x],
        want,
    )
old("crop", lambda n: n.add_crop("l", 1, 2, 0, 1, [0, 0], ["in0"], "out0"), [x], X[:, :, :-1, 1:-2])
y = f(3, 6, 7)
Y = T(y)[None]
for mode, want in (
    ("ADD", X + Y),
    ("MULTIPLY", X * Y),
    ("AVE", (X + Y) / 2),
    ("MAX", torch.maximum(X, Y)),
    ("MIN", torch.minimum(X, Y)),
    ("CONCAT", torch.cat([X, Y], 1)),
    ("DOT", (X * Y).sum(1, keepdim=True)),
    ("COS", F.cosine_similarity(X, Y).unsqueeze(1)),
):
    old(
        "elementwise " + mode,
        lambda n, m=mode: n.add_elementwise("l", ["in0", "in1"], "out0", m),
        [x, y],
        want,
    )
old("add alpha", lambda n: n.add_elementwise("l", ["in0"], "out0", "ADD", 0.7), [x], X + 0.7)
old(
    "multiply alpha",
    lambda n: n.add_elementwise("l", ["in0"], "out0", "MULTIPLY", 0.7),
    [x],
    X * 0.7,
)
P = np.abs(x) + np.float32(0.1)
for mode, alpha, want in (
    ("sqrt", 1, np.sqrt(2 * P + 0.5)),
    ("rsqrt", 1, 1 / np.sqrt(2 * P + 0.5 + 1e-3)),
    ("inverse", 1, 1 / (2 * P + 0.5 + 1e-3)),
    ("power", 1.5, (2 * P + 0.5) ** 1.5),
    ("exp", 1, np.exp(2 * P + 0.5)),
    ("log", 1, np.log(2 * P + 0.5)),
    ("abs", 1, 2 * P + 0.5),
    ("threshold", 1.2, np.maximum(1.2, 2 * P + 0.5)),
):
    old(
        "unary " + mode,
        lambda n, m=mode, a=alpha: n.add_unary("l", "in0", "out0", m, a, 0.5, 2.0, 1e-3),
        [P],
        want[None].astype("f"),
    )
old(
    "scale",
    lambda n: n.add_scale("l", ga, be, True, "in0", "out0", [3], [3]),
    [x],
    X * T(ga).view(3, 1, 1) + T(be).view(3, 1, 1),
)
s1 = f(1, 6, 7)
old(
    "scale of a plane",
    lambda n: n.add_scale("l", s1, None, False, "in0", "out0", [1, 6, 7]),
    [x],
    X * T(s1),
)
old("bias", lambda n: n.add_bias("l", be, "in0", "out0", [3]), [x], X + T(be).view(3, 1, 1))
old("softmax", lambda n: n.add_softmax("l", "in0", "out0"), [x], F.softmax(X, 1))
old(
    "lrn",
    lambda n: n.add_lrn("l", "in0", "out0", 0.01, 0.6, 3, 1.2),
    [x],
    F.local_response_norm(X, 3, 0.01, 0.6, 1.2),
)
old(
    "l2normalize",
    lambda n: n.add_l2_normalize("l", "in0", "out0", 1e-3),
    [x],
    X / torch.sqrt((X**2).sum() + 1e-3),
)
m = X - X.mean((2, 3), keepdim=True)
old(
    "mvn",
    lambda n: n.add_mvn("l", "in0", "out0", False, True, 1e-3),
    [x],
    m / torch.sqrt((m**2).mean((2, 3), keepdim=True) + 1e-3),
)
for axis, axes in (("CHW", (1, 2, 3)), ("HW", (2, 3)), ("C", (1,)), ("H", (2,)), ("W", (3,))):
    old(
        "reduce sum " + axis,
        lambda n, a=axis: n.add_reduce("l", "in0", "out0", a, "sum"),
        [x],
        X.sum(axes, keepdim=True),
    )
for mode, want in (
    ("avg", X.mean(1, keepdim=True)),
    ("prod", X.prod(1, keepdim=True)),
    ("sumsquare", (X**2).sum(1, keepdim=True)),
    ("L1", X.abs().sum(1, keepdim=True)),
    ("L2", X.norm(dim=1, keepdim=True)),
    ("max", X.amax(1, keepdim=True)),
    ("min", X.amin(1, keepdim=True)),
    ("argmax", X.argmax(1, keepdim=True).float()),
):
    old("reduce " + mode, lambda n, m=mode: n.add_reduce("l", "in0", "out0", "C", m), [x], want)
old(
    "reduce logsum",
    lambda n: n.add_reduce("l", "in0", "out0", "C", "logsum"),
    [P],
    torch.log(T(P)[None] + 1e-6).sum(1, keepdim=True),
)
old("flatten", lambda n: n.add_flatten("l", 0, "in0", "out0"), [x], X.reshape(1, 126, 1, 1))
old(
    "flatten channels last",
    lambda n: n.add_flatten("l", 1, "in0", "out0"),
    [x],
    X.permute(0, 2, 3, 1).reshape(1, 126, 1, 1),
)
old(
    "reshape", lambda n: n.add_reshape("l", "in0", "out0", (6, 7, 3), 0), [x], X.reshape(1, 6, 7, 3)
)
old(
    "reshape channels last",
    lambda n: n.add_reshape("l", "in0", "out0", (6, 7, 3), 1),
    [x],
    X.permute(0, 2, 3, 1).reshape(1, 7, 3, 6).permute(0, 3, 1, 2),
)
old(
    "permute", lambda n: n.add_permute("l", (0, 3, 1, 2), "in0", "out0"), [x], X.permute(0, 3, 1, 2)
)
old(
    "split",
    lambda n: n.add_split("l", "in0", ["out0", "out1", "out2"]),
    [x],
    [X[:, :1], X[:, 1:2], X[:, 2:]],
)
for axis, want in (
    ("channel", X[:, 0:2:1]),
    ("height", X[:, :, 0:2:1]),
    ("width", X[:, :, :, 0:2:1]),
):
    old("slice " + axis, lambda n, a=axis: n.add_slice("l", "in0", "out0", a, 0, 2, 1), [x], want)
d = np.arange(1, 17, dtype="f").reshape(8, 1, 2)
old(
    "depth to space",
    lambda n: n.add_reorganize_data("l", "in0", "out0", "DEPTH_TO_SPACE", 2),
    [d],
    np.array([[1, 5, 2, 6], [9, 13, 10, 14], [3, 7, 4, 8], [11, 15, 12, 16]], "f").reshape(
        1, 2, 2, 4
    ),
)
q = f(2, 4, 6)
old(
    "space to depth",
    lambda n: n.add_reorganize_data("l", "in0", "out0", "SPACE_TO_DEPTH", 2),
    [q],
    T(q).view(1, 2, 2, 2, 3, 2).permute(0, 3, 5, 1, 2, 4).reshape(1, 8, 2, 3),
)
old(
    "upsample",
    lambda n: n.add_upsample("l", 2, 3, "in0", "out0", "NN"),
    [x],
    x.repeat(2, 1).repeat(3, 2)[None],
)
old(
    "upsample bilinear",
    lambda n: n.add_upsample("l", 2, 2, "in0", "out0", "BILINEAR", "ALIGN_CORNERS_FALSE"),
    [x],
    F.interpolate(X, scale_factor=2, mode="bilinear"),
)
r1 = np.array([0, 1], "f").reshape(1, 1, 2)
for mode, want in (
    ("STRICT_ALIGN_ENDPOINTS_MODE", [0, 0.25, 0.5, 0.75, 1]),
    ("ALIGN_ENDPOINTS_MODE", [0, 0.25, 0.5, 0.75, 1]),
    ("UPSAMPLE_MODE", [0, 0.4, 0.8, 1, 1]),
    ("ROI_ALIGN_MODE", [0.1, 0.3, 0.5, 0.7, 0.9]),
):
    old(
        "resizeBilinear " + mode,
        lambda n, m=mode: n.add_resize_bilinear("l", "in0", "out0", 1, 5, m),
        [r1],
        np.array(want, "f").reshape(1, 1, 1, 5),
    )
c = f(2, 3, 4)
old(
    "loadConstant",
    lambda n: (
        n.add_load_constant("c", "k", c, c.shape),
        n.add_elementwise("l", ["in0", "k"], "out0", "ADD"),
    ),
    [f(2, 3, 4) * 0],
    c[None],
)
wm, bm = f(5, 8), f(8)
old(
    "embedding",
    lambda n: n.add_embedding("l", wm.T, bm, 5, 8, True, "in0", "out0"),
    [np.array([3], "f")],
    (wm[3] + bm).reshape(1, 8, 1, 1),
)

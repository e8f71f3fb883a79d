"""Operations of ML Programs, each with what NumPy or PyTorch computes for it."""

import numpy as np
import torch
import torch.nn.functional as F
from coreml_run import Case, mb

CASES = []
T = torch.tensor
rng = np.random.default_rng(1)


def case(*fields):
    CASES.append(Case(*fields))


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


x = f(2, 3, 4, 5)
for n, fn in dict(
    abs=np.abs,
    ceil=np.ceil,
    cos=np.cos,
    cosh=np.cosh,
    exp=np.exp,
    floor=np.floor,
    sign=np.sign,
    sin=np.sin,
    sinh=np.sinh,
    tan=np.tan,
    tanh=np.tanh,
    atan=np.arctan,
    square=np.square,
    exp2=np.exp2,
).items():
    case(n, lambda a, n=n: getattr(mb, n)(x=a), [x], fn(x))
case(
    "round",
    lambda a: mb.round(x=a),
    [np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4], "f")],
    np.array([-2, -2, -0, 0, 2, 2, 2], "f"),
)
u = rng.uniform(-0.9, 0.9, (3, 4)).astype("f")
p = rng.uniform(0.1, 3, (3, 4)).astype("f")
for n, fn in dict(acos=np.arccos, asin=np.arcsin, atanh=np.arctanh).items():
    case(n, lambda a, n=n: getattr(mb, n)(x=a), [u], fn(u))
case("sqrt", lambda a: mb.sqrt(x=a), [p], np.sqrt(p))
case("rsqrt", lambda a: mb.rsqrt(x=a), [p], 1 / np.sqrt(p + 1e-12))
case("inverse", lambda a: mb.inverse(x=a), [p], 1 / (p + 1e-4))
case("log", lambda a: mb.log(x=a), [p], np.log(p))
case("erf", lambda a: mb.erf(x=a), [x], torch.erf(T(x)).numpy())
for n, fn in dict(
    relu=F.relu,
    relu6=F.relu6,
    sigmoid=torch.sigmoid,
    silu=F.silu,
    softplus=F.softplus,
    softsign=F.softsign,
).items():
    case(n, lambda a, n=n: getattr(mb, n)(x=a), [x], fn(T(x)).numpy())
case("leaky_relu", lambda a: mb.leaky_relu(x=a, alpha=0.1), [x], F.leaky_relu(T(x), 0.1).numpy())
case("elu", lambda a: mb.elu(x=a, alpha=0.7), [x], F.elu(T(x), 0.7).numpy())
case(
    "prelu",
    lambda a: mb.prelu(x=a, alpha=np.array([0.1, 0.2, 0.3], "f")),
    [x],
    F.prelu(T(x), T(np.array([0.1, 0.2, 0.3], "f"))).numpy(),
)
for m, kw in dict(EXACT="none", TANH_APPROXIMATION="tanh").items():
    case("gelu" + m, lambda a, m=m: mb.gelu(x=a, mode=m), [x], F.gelu(T(x), approximate=kw).numpy())
case(
    "gelu_sig",
    lambda a: mb.gelu(x=a, mode="SIGMOID_APPROXIMATION"),
    [x],
    (T(x) * torch.sigmoid(1.702 * T(x))).numpy(),
)
case("scaled_tanh", lambda a: mb.scaled_tanh(x=a, alpha=1.7, beta=0.6), [x], 1.7 * np.tanh(0.6 * x))
case(
    "sigmoid_hard",
    lambda a: mb.sigmoid_hard(x=a, alpha=0.3, beta=0.4),
    [x],
    np.clip(0.3 * x + 0.4, 0, 1),
)
case(
    "linear_activation",
    lambda a: mb.linear_activation(x=a, alpha=0.3, beta=0.4),
    [x],
    0.3 * x + np.float32(0.4),
)
case(
    "clamped_relu",
    lambda a: mb.clamped_relu(x=a, alpha=0.3, beta=0.8),
    [x],
    np.minimum(np.where(x >= 0, x, 0.3 * x), 0.8),
)
xt = np.array([-1, 0.5, 0.4, 0.6], "f")
case(
    "thresholded_relu",
    lambda a: mb.thresholded_relu(x=a, alpha=0.5),
    [xt],
    np.where(xt >= 0.5, xt, 0),
)
case("threshold", lambda a: mb.threshold(x=a, alpha=0.5), [x], np.maximum(x, 0.5))
case("clip", lambda a: mb.clip(x=a, alpha=-0.5, beta=0.5), [x], np.clip(x, -0.5, 0.5))
case(
    "softplus_parametric",
    lambda a: mb.softplus_parametric(
        x=a, alpha=np.array([1, 2, 3], "f"), beta=np.array([0.5, 1, 2], "f")
    ),
    [x],
    np.array([1, 2, 3], "f").reshape(3, 1, 1)
    * np.log1p(np.exp(np.array([0.5, 1, 2], "f").reshape(3, 1, 1) * x)),
)
case("softmax", lambda a: mb.softmax(x=a, axis=1), [x], F.softmax(T(x), 1).numpy())
y = f(3, 1, 5)
for n, fn in dict(
    add=np.add,
    sub=np.subtract,
    mul=np.multiply,
    real_div=np.divide,
    maximum=np.maximum,
    minimum=np.minimum,
    floor_div=np.floor_divide,
    mod=np.mod,
).items():
    case(n, lambda a, b, n=n: getattr(mb, n)(x=a, y=b), [x, y], fn(x, y))
i1 = rng.integers(-9, 9, (3, 4)).astype("i4")
i2 = np.array([[2, -3, 4, -1]], "i4")
for n, fn in dict(add=np.add, mul=np.multiply, floor_div=np.floor_divide, mod=np.mod).items():
    case("i_" + n, lambda a, b, n=n: getattr(mb, n)(x=a, y=b), [i1, i2], fn(i1, i2))
case("pow", lambda a, b: mb.pow(x=a, y=b), [p, u], p**u)
for n, fn in dict(
    equal=np.equal,
    not_equal=np.not_equal,
    greater=np.greater,
    greater_equal=np.greater_equal,
    less=np.less,
    less_equal=np.less_equal,
).items():
    case(
        n,
        lambda a, b, n=n: mb.cast(x=getattr(mb, n)(x=a, y=b), dtype="fp32"),
        [i1.astype("f"), i2.astype("f")],
        fn(i1, i2).astype("f"),
    )
case(
    "select",
    lambda a, b: mb.select(cond=mb.greater(x=a, y=0.0), a=a, b=b),
    [x, x[::-1].copy()],
    np.where(x > 0, x, x[::-1]),
)
case(
    "logical",
    lambda a, b: mb.cast(
        x=mb.logical_xor(
            x=mb.logical_and(x=mb.cast(x=a, dtype="bool"), y=mb.cast(x=b, dtype="bool")),
            y=mb.logical_not(x=mb.cast(x=a, dtype="bool")),
        ),
        dtype="int32",
    ),
    [i1, (i1 * 0 + i2)],
    (((i1 != 0) & ((i1 * 0 + i2) != 0)) ^ (i1 == 0)).astype("i4"),
)
case(
    "cast_trunc",
    lambda a: mb.cast(x=a, dtype="int32"),
    [np.array([-1.7, 1.7, 2.5], "f")],
    np.array([-1, 1, 2], "i4"),
)
# conv
for dims in (1, 2, 3):
    xs = f(2, 4, *([9, 8, 7][:dims]))
    w = f(6, 2, *[3] * dims)
    b = f(6)
    fn = [F.conv1d, F.conv2d, F.conv3d][dims - 1]
    case(
        f"conv{dims}",
        lambda a, w=w, b=b, d=dims: mb.conv(
            x=a,
            weight=w,
            bias=b,
            strides=[2] * d,
            pad_type="custom",
            pad=[1] * 2 * d,
            dilations=[1] * d,
            groups=2,
        ),
        [xs],
        fn(T(xs), T(w), T(b), stride=2, padding=1, groups=2).numpy(),
    )
    case(
        f"conv{dims}same",
        lambda a, w=w, b=b, d=dims: mb.conv(x=a, weight=w, bias=b, pad_type="same", groups=2),
        [xs],
        fn(T(xs), T(w), T(b), padding=1, groups=2).numpy(),
    )
xs = f(1, 2, 5, 6)
w = f(3, 2, 2, 2)
case(
    "conv_same_even",
    lambda a: mb.conv(x=a, weight=w, pad_type="same"),
    [xs],
    F.conv2d(F.pad(T(xs), (0, 1, 0, 1)), T(w)).numpy(),
)
case(
    "conv_same_lower",
    lambda a: mb.conv(x=a, weight=w, pad_type="same_lower"),
    [xs],
    F.conv2d(F.pad(T(xs), (1, 0, 1, 0)), T(w)).numpy(),
    6,
)
wt = f(4, 3, 3, 3)
xs = f(1, 4, 5, 6)
case(
    "convT_valid",
    lambda a: mb.conv_transpose(x=a, weight=wt, strides=[2, 2], pad_type="valid"),
    [xs],
    F.conv_transpose2d(T(xs), T(wt), stride=2).numpy(),
)
case(
    "convT_custom",
    lambda a: mb.conv_transpose(
        x=a, weight=wt, strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1]
    ),
    [xs],
    F.conv_transpose2d(T(xs), T(wt), stride=2, padding=1).numpy(),
)
# pool
for n, fn in dict(max_pool=F.max_pool2d).items():
    x2 = f(1, 2, 7, 8)
    case(
        n,
        lambda a: mb.max_pool(
            x=a, kernel_sizes=[3, 3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1]
        ),
        [x2],
        F.max_pool2d(T(x2), 3, 2, 1).numpy(),
    )
case(
    "avg_excl",
    lambda a: mb.avg_pool(
        x=a,
        kernel_sizes=[3, 3],
        strides=[2, 2],
        pad_type="custom",
        pad=[1, 1, 1, 1],
        exclude_padding_from_average=True,
    ),
    [x2],
    F.avg_pool2d(T(x2), 3, 2, 1, count_include_pad=False).numpy(),
)
case(
    "avg_incl",
    lambda a: mb.avg_pool(
        x=a, kernel_sizes=[3, 3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1]
    ),
    [x2],
    F.avg_pool2d(T(x2), 3, 2, 1).numpy(),
)
case(
    "avg_ceil",
    lambda a: mb.avg_pool(
        x=a,
        kernel_sizes=[3, 3],
        strides=[2, 2],
        pad_type="custom",
        pad=[1, 1, 1, 1],
        ceil_mode=True,
    ),
    [x2],
    F.avg_pool2d(T(x2), 3, 2, 1, ceil_mode=True).numpy(),
)
case(
    "avg_same_lower",
    lambda a: mb.avg_pool(x=a, kernel_sizes=[2, 2], pad_type="same_lower"),
    [np.array([[[[1, 2], [3, 4]]]], "f")],
    np.array([[[[0.25, 0.75], [1, 2.5]]]], "f"),
    6,
)
case(
    "l2_pool",
    lambda a: mb.l2_pool(x=a, kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid"),
    [x2],
    F.lp_pool2d(T(x2), 2, 2).numpy(),
)
# products
W7 = f(7, 5)
B7 = f(7)
case(
    "linear",
    lambda a: mb.linear(x=a, weight=W7, bias=B7),
    [x],
    F.linear(T(x), T(W7), T(B7)).numpy(),
)
m1 = f(2, 3, 4, 5)
m2 = f(2, 3, 6, 5)
case(
    "matmul_ty",
    lambda a, b: mb.matmul(x=a, y=b, transpose_y=True),
    [m1, m2],
    m1 @ np.swapaxes(m2, -1, -2),
)
e1 = f(2, 3, 4, 5)
e2 = f(2, 5, 4, 6)
case(
    "einsum",
    lambda a, b: mb.einsum(values=(a, b), equation="nchw,nwhu->nchu"),
    [e1, e2],
    np.einsum("nchw,nwhu->nchu", e1, e2),
)
q, k, v = f(2, 4, 5, 8), f(2, 4, 7, 8), f(2, 4, 7, 8)
case(
    "sdpa",
    lambda a, b, c: mb.scaled_dot_product_attention(query=a, key=b, value=c),
    [q, k, v],
    F.scaled_dot_product_attention(T(q), T(k), T(v)).numpy(),
    8,
)
mask = f(5, 7)
case(
    "sdpa_mask",
    lambda a, b, c, d: mb.scaled_dot_product_attention(query=a, key=b, value=c, attn_mask=d),
    [q, k, v, mask],
    F.scaled_dot_product_attention(T(q), T(k), T(v), attn_mask=T(mask)).numpy(),
    8,
)
q3, k3, v3 = f(2, 5, 8), f(2, 7, 8), f(2, 7, 8)
case(
    "sdpa3",
    lambda a, b, c: mb.scaled_dot_product_attention(query=a, key=b, value=c),
    [q3, k3, v3],
    F.scaled_dot_product_attention(T(q3), T(k3), T(v3)).numpy(),
    8,
)
# norms
mean, var, ga, be = f(3), np.abs(f(3)) + 0.1, f(3), f(3)
case(
    "batch_norm",
    lambda a: mb.batch_norm(x=a, mean=mean, variance=var, gamma=ga, beta=be),
    [x],
    F.batch_norm(T(x), T(mean), T(var), T(ga), T(be)).numpy(),
)
case(
    "batch_norm_plain",
    lambda a: mb.batch_norm(x=a, mean=mean, variance=var),
    [x],
    F.batch_norm(T(x), T(mean), T(var)).numpy(),
)
case(
    "instance_norm",
    lambda a: mb.instance_norm(x=a, gamma=ga, beta=be),
    [x],
    F.instance_norm(T(x), weight=T(ga), bias=T(be)).numpy(),
)
g5, b5 = f(5), f(5)
case(
    "layer_norm",
    lambda a: mb.layer_norm(x=a, axes=[-1], gamma=g5, beta=b5),
    [x],
    F.layer_norm(T(x), (5,), T(g5), T(b5)).numpy(),
)


def ln(x, axes, g=None, b=None):
    m = x.mean(axes, keepdims=True)
    v = x.var(axes, keepdims=True)
    return (x - m) / np.sqrt(v + 1e-5)


case(
    "layer_norm_mid",
    lambda a: mb.layer_norm(x=a, axes=[1], gamma=ga, beta=be),
    [x],
    ln(x, (1,)) * ga.reshape(3, 1, 1) + be.reshape(3, 1, 1),
)
case(
    "l2_norm",
    lambda a: mb.l2_norm(x=a),
    [x],
    x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True) + 1e-6),
)
case(
    "lrn",
    lambda a: mb.local_response_norm(x=a, size=3, alpha=0.01, beta=0.6, k=1.2),
    [x],
    F.local_response_norm(T(x), 3, 0.01, 0.6, 1.2).numpy(),
)

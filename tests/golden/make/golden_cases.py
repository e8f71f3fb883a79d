"""For each operator its result in PyTorch, with an error bound.

A reference returns (result, absolute, relative). U counts one rounding of float32: a sum of K
products errs by at most (K + 1) U times the sum of their magnitudes, in any order, fused or not.
"""

import numpy as np
import torch
import torch.nn.functional as F

from golden_list import INF, NONE
from winograd_bound import winograd_bound

U = 2.0**-24
# Relative error of the unary functions in U: 2 for each ULP that kernels/ promises.
UNARY_ERROR = {
    "leaky_relu": 1,
    "sigmoid": 5,
    "tanh": 5,
    "exp": 3,
    "silu": 7,
    "elu": 6,
    "sqrt": 1,
    "square": 1,
}


def activate(x, act):
    kind, a, b = act
    return {
        "clamp": lambda: torch.where(x.isnan(), x, x.clamp(a, b)),
        "leaky_relu": lambda: F.leaky_relu(x, a),
        "sigmoid": lambda: torch.sigmoid(x),
        "tanh": lambda: torch.tanh(x),
        "exp": lambda: torch.exp(x),
        "silu": lambda: F.silu(x),
        "gelu": lambda: F.gelu(x),
        "gelu_tanh": lambda: F.gelu(x, approximate="tanh"),
        "elu": lambda: F.elu(x, a),
        "abs": lambda: torch.abs(x),
        "neg": lambda: torch.neg(x),
        "sqrt": lambda: torch.sqrt(x),
        "square": lambda: torch.square(x),
    }[kind]()


def largest(x):
    finite = x[torch.isfinite(x)]
    return float(finite.abs().max()) if finite.numel() else 0.0


def finish(attrs, y, magnitude, roundings, residual):
    """Residual and activation behind a sum of products."""
    if residual is not None:
        y, magnitude = y + residual.double(), magnitude + residual.double().abs()
    act = attrs.get("act", NONE)
    # an activation here has slope 1 at most and does not enlarge the error in front of it; the
    # slope of gelu is 1.13, and its own error is of the argument
    gelu = act[0].startswith("gelu")
    return (
        activate(y, act),
        (1.13 * (roundings + 3) + 4 if gelu else roundings + 3) * U * largest(magnitude),
        UNARY_ERROR.get(act[0], 0) * U,
    )


def conv2d(attrs, tensors):
    x, w, b, residual = (list(tensors) + [None, None])[:4]
    top, left, bottom, right = attrs["pad"]

    def run(x, w, b):
        return F.conv2d(
            F.pad(x, (left, right, top, bottom)),
            w,
            b,
            attrs["stride"],
            0,
            attrs["dilation"],
            attrs["groups"],
        )

    x, w, b = x.double(), w.double(), None if b is None else b.double()
    magnitude = run(x.abs(), w.abs(), None if b is None else b.abs())
    products = w[0].numel()
    if attrs["algorithm"] == "winograd-4x4-3x3":
        magnitude = winograd_bound(F.pad(x, (left, right, top, bottom)), w)
        products += 24  # roundings of the transforms, see winograd_bound
    return finish(attrs, run(x, w, b), magnitude, products, residual)


def conv_transpose2d(attrs, tensors):
    x, w, b, residual = (list(tensors) + [None, None])[:4]
    top, left, bottom, right = attrs["pad"]
    extra = attrs["out_pad"]

    def run(x, w, b):
        full = F.conv_transpose2d(
            x, w, None, attrs["stride"], 0, 0, attrs["groups"], attrs["dilation"]
        )
        full = F.pad(full, (0, extra[1], 0, extra[0]))
        y = full[:, :, top : full.shape[2] - bottom, left : full.shape[3] - right]
        if b is not None:
            y = y + b.reshape(1, -1, 1, 1)
        if (top, left) == (bottom, right):  # what the definition above must agree with
            torch.testing.assert_close(
                y,
                F.conv_transpose2d(
                    x, w, b, attrs["stride"], (top, left), extra, attrs["groups"], attrs["dilation"]
                ),
            )
        return y

    x, w, b = x.double(), w.double(), None if b is None else b.double()
    magnitude = run(x.abs(), w.abs(), None if b is None else b.abs())
    products = w[0, 0].numel() * w.shape[0] // attrs["groups"]
    return finish(attrs, run(x, w, b), magnitude, products, residual)


def linear(attrs, tensors):
    x, w, b, residual = (list(tensors) + [None, None])[:4]
    x, w, b = (t.double() if t is not None else None for t in (x, w, b))
    magnitude = F.linear(x.abs(), w.abs(), None if b is None else b.abs())
    return finish(attrs, F.linear(x, w, b), magnitude, w.shape[1], residual)


def matmul(attrs, tensors):
    a, b = (t.double() for t in tensors)
    a = a.mT if attrs["transpose"][0] else a
    b = b.mT if attrs["transpose"][1] else b
    return a @ b, (a.shape[-1] + 2) * U * largest(a.abs() @ b.abs()), 0


def batch_norm(attrs, tensors):
    x, gamma, beta, mean, variance = (t.double() for t in tensors)
    eps = float(np.float32(attrs["eps"]))
    y = F.batch_norm(x, mean, variance, gamma, beta, False, 0.0, eps)
    factor = (gamma / torch.sqrt(variance + eps)).abs().reshape(1, -1, 1, 1)
    magnitude = x.abs() * factor + mean.abs().reshape(1, -1, 1, 1) * factor
    return y, 4 * U * (largest(magnitude) + largest(beta)), 0


def unary(attrs, tensors):
    act, x = attrs["act"], tensors[0].double()
    if act[0].startswith("gelu"):
        return activate(x, act), 4 * U * largest(x), 0  # below zero it cancels
    return activate(x, act), 0, UNARY_ERROR.get(act[0], 0) * U


def binary(attrs, tensors):
    a, b = (t.double() for t in tensors)
    y = {
        "add": torch.add,
        "sub": torch.sub,
        "mul": torch.mul,
        "div": torch.div,
        "max": torch.maximum,
        "min": torch.minimum,
    }[attrs["kind"]](a, b)
    exact = attrs["kind"] in ("max", "min")
    act = attrs.get("act", NONE)
    return activate(y, act), 0 if exact else U * largest(y), 0


def pool2d(attrs, tensors):
    x, top, left, bottom, right = tensors[0].double(), *attrs.get("pad", (0, 0, 0, 0))
    average = attrs["kind"] == "average"
    if attrs["global"]:
        y = x.mean((2, 3), keepdim=True) if average else x.amax((2, 3), keepdim=True)
        return y, (x[0, 0].numel() + 2) * U * largest(x) if average else 0, 0
    kernel, stride, ceil = attrs["kernel"], attrs["stride"], attrs["ceil_mode"]
    if (top, left) == (bottom, right):
        if not average:
            return F.max_pool2d(x, kernel, stride, (top, left), ceil_mode=ceil), 0, 0
        y = F.avg_pool2d(x, kernel, stride, (top, left), ceil, attrs["count_pad"])
    else:
        assert not ceil
        around = (left, right, top, bottom)
        if not average:
            return F.max_pool2d(F.pad(x, around, value=-INF), kernel, stride), 0, 0
        y = F.avg_pool2d(F.pad(x, around), kernel, stride)
        if not attrs["count_pad"]:
            y = y / F.avg_pool2d(F.pad(torch.ones_like(x), around), kernel, stride)
    return y, (kernel[0] * kernel[1] + 2) * U * largest(x), 0


def l2norm(attrs, tensors):
    x, scale = tensors[0].double(), tensors[1]
    y = x / (x.square().sum(1, keepdim=True).sqrt() + float(np.float32(attrs["eps"])))
    if scale is not None:
        y = y * scale.double().reshape(1, -1, 1, 1)
    return y, 0, (x.shape[1] / 2 + 6) * U


def layer_norm(attrs, tensors):
    """Channels of images stand in dimension 1; `axis` is absent there. The bound takes each sum in
    any order: shift is how far the mean may be off, off the relative error of the factor."""
    x, gamma, beta = (t if t is None else t.double() for t in tensors)
    image = "axis" not in attrs
    x = x.movedim(1, -1) if image else x
    dims = [-1] if image else list(range(attrs["axis"] % x.dim(), x.dim()))
    count = int(np.prod([x.shape[d] for d in dims]))
    rms, chain = attrs["rms"], count + 16
    mean = torch.zeros_like(x) if rms else x.mean(dims, keepdim=True)
    power = (x - mean).square().mean(dims, keepdim=True) + float(np.float32(attrs["eps"]))
    shift = 0 if rms else chain * U * largest(x)
    off = 0.5 * (chain * U + shift**2 / float(power.min())) + 10 * U
    gamma = torch.ones(()) if gamma is None else gamma
    y = (x - mean) / power.sqrt() * gamma
    bound = shift * largest(gamma) / float(power.min()) ** 0.5 + off * largest(y)
    y = y if beta is None else y + beta
    return (y.movedim(-1, 1) if image else y), bound + 2 * U * largest(y), 0


def wave_norm(attrs, tensors):
    """Scale and shift in double, rounded once; the variance's own cancellation is below that."""
    x, weight, gamma, beta = (t.double() for t in tensors)
    y = F.conv1d(x[:, None], weight, None, attrs["stride"])
    eps = float(np.float32(attrs["eps"]))
    scale = gamma / (y.var(2, correction=0) + eps).sqrt()
    shift = beta - y.mean(2) * scale
    return torch.stack([scale, shift], 1), U * largest(shift), 2 * U


def wave_conv(attrs, tensors):
    x, weight, norm = (t.double() for t in tensors)
    scale, shift = norm[:, 0, :, None], norm[:, 1, :, None]

    def run(x, weight, scale, shift):
        return (F.conv1d(x[:, None], weight, None, attrs["stride"]) * scale + shift)[:, :, None]

    magnitude = run(x.abs(), weight.abs(), scale.abs(), shift.abs())
    # one more rounding for the weight times its scale
    return finish(attrs, run(x, weight, scale, shift), magnitude, weight.shape[2] + 2, None)


def softmax(attrs, tensors):
    x = tensors[0].double()
    reach = 2 * largest(x)
    return torch.softmax(x, attrs["axis"]), 0, (2 * reach + 8 + x.shape[attrs["axis"]]) * U


def group_norm(attrs, tensors):
    x, gamma, beta, offset = (t if t is None else t.double() for t in tensors)
    if offset is not None:
        x = x + offset.reshape(offset.shape + (1,) * (x.dim() - 2))
    groups, eps = attrs["groups"], float(np.float32(attrs["eps"]))
    y = F.group_norm(x, groups, gamma, beta, eps)
    parts = x.reshape(x.shape[0], groups, -1)
    mean, variance = parts.mean(2, keepdim=True), parts.var(2, correction=0, keepdim=True)
    factor = (1 / torch.sqrt(variance + eps)).expand(parts.shape).reshape(x.shape)
    along = (1, -1) + (1,) * (x.dim() - 2)
    if gamma is not None:
        factor = factor * gamma.abs().reshape(along)
    # A block of 128 rows sums up to its mean and spread with an error of 130 U at most, of the
    # largest number and of the variance; the rest is joined in double. x * scale + shift rounds
    # four times.
    centre = mean.abs().expand(parts.shape).reshape(x.shape)
    relative = 130 * U * largest(x) / float((variance + eps).sqrt().min()) + 130 * U
    magnitude = (x.abs() + centre) * factor + (0 if beta is None else beta.abs().reshape(along))
    act = attrs.get("act", NONE)
    bound = 4 * U * largest(magnitude) + relative * largest(factor * (x.abs() + centre))
    return activate(y, act), 1.1 * bound, UNARY_ERROR.get(act[0], 0) * U


def gate(attrs, tensors):
    a, b = tensors[0].double().chunk(2, -1)
    kind, error = attrs["gate"], UNARY_ERROR.get(attrs["gate"][0], 0)
    # 4 U of the argument for gelu, which cancels below zero
    absolute = 4 * U * largest(a) * largest(b) if kind[0] == "gelu" else 0
    return a * activate(b, kind), absolute, (error + 1) * U


def attention(attrs, tensors):
    """In double, and beside every number how far float32 may be from it."""
    q, k, v, mask = (t if t is None else t.double() for t in tensors)
    heads, key_heads = attrs["heads"], attrs["key_heads"] or attrs["heads"]
    if heads:
        q = q.unflatten(2, (heads, -1)).transpose(1, 2)
        k, v = (t.unflatten(2, (key_heads, -1)).transpose(1, 2) for t in (k, v))
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))
    depth, keys = q.shape[3], k.shape[2]
    scale = float(np.float32(attrs["scale"])) or depth**-0.5
    scores, magnitude = scale * (q @ k.mT), abs(scale) * (q.abs() @ k.abs().mT)
    if mask is not None:
        scores = scores + mask
        magnitude = magnitude + torch.where(mask.isinf(), 0.0, mask.abs())
    if attrs["causal"]:
        scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -INF)
    empty = (scores == -INF).all(-1, keepdim=True)
    weights = torch.softmax(scores, -1).masked_fill(empty, 0.0)
    y = weights @ v
    if not attrs["causal"]:
        torch.testing.assert_close(y, F.scaled_dot_product_attention(q, k, v, mask, scale=scale))
    # A score errs by (depth + 4) roundings of its terms, which its weight feels twice, by itself
    # and through the sum; the maximum is subtracted and exp rounds, for every block again.
    far = torch.where(scores.isinf(), 0.0, scores).abs().amax(-1, keepdim=True)
    blocks = keys // 256 + 1
    error = 2 * ((depth + 4) * magnitude + 2 * far + 4 * blocks) + 2 * (keys + 4)
    bound = U * largest((weights * error) @ v.abs())
    if heads:
        y = y.transpose(1, 2).flatten(2)
    return y, 1.01 * bound, 0


def lstm(attrs, tensors):
    """torch.nn.LSTM in double, and beside every number how far float32 may be from it."""
    x, w, h, c = (t if t is None else t.double() for t in tensors)
    x = x if attrs["time"] == 0 else x.transpose(0, 1)
    layer = torch.nn.LSTM(x.shape[2], w.shape[1], dtype=torch.float64)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(x.shape[2]))
        layer.weight_hh_l0.copy_(w)
        layer.bias_ih_l0.zero_()
        layer.bias_hh_l0.zero_()
        h = torch.zeros(x.shape[1], w.shape[1], dtype=torch.float64) if h is None else h
        c = torch.zeros_like(h) if c is None else c
        steps = x.flip(0) if attrs["reverse"] else x
        y, (last_h, last_c) = layer(steps, (h[None], c[None]))
    e_h, e_c, worst = torch.zeros_like(h), torch.zeros_like(h), 0.0
    for step in range(x.shape[0]):
        gates = steps[step] + h @ w.T
        magnitude = steps[step].abs() + h.abs() @ w.abs().T
        error = (w.shape[1] + 2) * U * magnitude + e_h @ w.abs().T
        i, f, g, o = gates.chunk(4, 1)
        e_i, e_f, e_g, e_o = error.chunk(4, 1)
        i, f, o, g = torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o), torch.tanh(g)
        # slopes are 1/4 and 1 at most; each function errs by 5 U of its value
        e_i, e_f, e_o = (e / 4 + 5 * U * v for e, v in ((e_i, i), (e_f, f), (e_o, o)))
        e_g = e_g + 5 * U * g.abs()
        e_c = e_f * c.abs() + f * e_c + e_i * g.abs() + i * e_g
        c, h = f * c + i * g, y[step]
        e_c = e_c + 3 * U * (c.abs() + (i * g).abs())
        tanh = torch.tanh(c).abs()
        e_h = e_o * tanh + o * (e_c + 5 * U * tanh) + U * h.abs()
        worst = max(worst, float(e_h.max()))
    y = y.flip(0) if attrs["reverse"] else y
    y = y if attrs["time"] == 0 else y.transpose(0, 1)
    bounds = (worst, float(e_h.max()), float(e_c.max()))
    return (y, last_h[0], last_c[0])[attrs["pick"]], 1.01 * bounds[attrs["pick"]], 0


def reduce(attrs, tensors):
    x, axis, keep = tensors[0].double(), attrs["axis"], attrs["keep"]
    if attrs["kind"] == "max":
        return torch.amax(x, axis, keep), 0, 0
    total = x.sum(axis, keep) if attrs["kind"] == "sum" else x.mean(axis, keep)
    scale = 1 if attrs["kind"] == "sum" else 1 / x.shape[axis]
    return total, (x.shape[axis] + 1) * U * largest(x.abs().sum(axis)) * scale, 0


def resize2d(attrs, tensors):
    # In float32, as torch computes coordinates: they decide which pixel is the nearest.
    x, size, scale = tensors[0], attrs["size"], attrs["scale"]
    target = {"size": size} if size[0] else {"scale_factor": scale}
    if attrs["kind"] == "nearest":
        return F.interpolate(x, mode="nearest", **target), 0, 0
    y = F.interpolate(x, mode="bilinear", align_corners=attrs["align_corners"], **target)
    # a coordinate errs by 3 roundings of its size, and the slope is 2 at most in each direction
    return y, (2 * 3 * (x.shape[2] + x.shape[3]) * 2 + 16) * U * largest(x), 0


def expand(attrs, tensors):
    x, like = tensors
    shape = [like.shape[i] if d == 0 else d for i, d in enumerate(attrs["shape"])]
    return torch.broadcast_to(x, torch.broadcast_shapes(shape, x.shape)), 0, 0


def space_to_depth(attrs, tensors):
    x, block = tensors[0], attrs["block"]
    below, right = -x.shape[2] % block, -x.shape[3] % block
    while below or right:  # torch repeats an edge no more often than the image is large
        step = min(below, x.shape[2]), min(right, x.shape[3])
        x = F.pad(x, (0, step[1], 0, step[0]), mode="replicate")
        below, right = below - step[0], right - step[1]
    return F.pixel_unshuffle(x, block), 0, 0


def depth_to_space(attrs, tensors):
    x, like = tensors
    y = F.pixel_shuffle(x, attrs["block"])
    return y if like is None else y[..., : like.shape[2], : like.shape[3]], 0, 0


REFERENCE = {
    "conv2d": conv2d,
    "conv_transpose2d": conv_transpose2d,
    "linear": linear,
    "matmul": matmul,
    "batch_norm": batch_norm,
    "unary": unary,
    "binary": binary,
    "pool2d": pool2d,
    "l2norm": l2norm,
    "layer_norm": layer_norm,
    "channel_norm": layer_norm,
    "wave_norm": wave_norm,
    "wave_conv": wave_conv,
    "softmax": softmax,
    "group_norm": group_norm,
    "gate": gate,
    "attention": attention,
    "lstm": lstm,
    "reduce": reduce,
    "resize2d": resize2d,
    "concat": lambda attrs, tensors: (torch.cat(tensors, attrs["axis"]), 0, 0),
    "slice": lambda attrs, tensors: (
        tensors[0][(slice(None),) * attrs["axis"] + (slice(*attrs["range"]),)],
        0,
        0,
    ),
    "split": lambda attrs, tensors: (
        torch.split(tensors[0], attrs["sizes"], attrs["axis"])[attrs["pick"]],
        0,
        0,
    ),
    "reshape": lambda attrs, tensors: (
        tensors[0].reshape(
            [tensors[0].shape[i] if d == 0 else d for i, d in enumerate(attrs["shape"])]
        ),
        0,
        0,
    ),
    "transpose": lambda attrs, tensors: (tensors[0].permute(attrs["order"]), 0, 0),
    "expand": expand,
    "space_to_depth": space_to_depth,
    "depth_to_space": depth_to_space,
}

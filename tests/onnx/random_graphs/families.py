"""Operators by family: each function adds a node, with its inputs, to a scope or raises Reject."""

import math

import numpy as np

from .builder import FLOATS, Reject

INTEGERS = ("int64", "int32", "int8", "uint8")
PAIR = ("float32", "float64")
F32 = ("float32",)


# ---- element by element -------------------------------------------------------------------------


def unary(s):
    smooth = ["Relu", "Sigmoid", "Tanh", "Erf", "Softplus", "Softsign", "Selu", "HardSwish", "Mish",
              "Sin", "Cos", "Exp", "Atan", "Asinh", "Sinh", "Cosh", "Reciprocal", "Sqrt", "Log",
              "Acos", "Asin", "Atanh", "Tan", "Acosh"]  # fmt: skip
    with_alpha = ["Elu", "Celu", "LeakyRelu", "HardSigmoid", "ThresholdedRelu"]
    x = s.floating(kinds=FLOATS)
    op = s.pick(smooth + with_alpha + ["Gelu", "Shrink"])
    attributes = {}
    if op in with_alpha:
        attributes["alpha"] = s.pick((0.1, 0.5, 1.0, 1.5))
    if op == "Gelu" and s.chance(0.5):
        attributes["approximate"] = "tanh"
    if op == "Shrink":
        attributes = {"lambd": s.pick((0.3, 1.0)), "bias": s.pick((0.0, 0.5))}
    s.node(op, [x], unit=16, jumps=op in ("ThresholdedRelu", "Shrink"), **attributes)


def exact_unary(s):
    op = s.pick(("Abs", "Neg", "Identity", "Sign", "Floor", "Ceil", "Round", "IsNaN", "IsInf"))
    if op in ("Abs", "Neg", "Identity"):
        s.node(op, [s.any()], unit=0, exact=True)
    else:
        s.node(op, [s.floating(exact=True)], jumps=True)


def binary(s):
    a = s.find(lambda v: v.kind != "bool", s.shape(), s.pick(FLOATS + INTEGERS))
    b = s.partner(a)
    op = s.pick(("Add", "Sub", "Mul", "Div", "Min", "Max", "Mean", "Sum", "PRelu", "Pow", "Mod"))
    if op == "Mod":
        b = s.given((np.abs(s.draw(b.shape, b.kind)) + 1).astype(b.kind))
        return s.node(op, [a, b], jumps=True, fmod=int(a.is_float))
    if op == "Div" and not a.is_float:
        b = s.given((np.abs(s.draw(b.shape, b.kind)) + 1).astype(b.kind))
    if op == "Pow":
        b = s.given(np.abs(np.round(s.draw(b.shape, b.kind))).astype(b.kind))
    pair = [b, a] if s.chance(0.3) and op not in ("Div", "Pow", "PRelu") else [a, b]
    if op in ("Min", "Max", "Mean", "Sum") and s.chance(0.4):
        pair.append(s.partner(a))
    # quarters stay exact through a few sums, but not through a product too many
    s.node(op, pair, exact=op in ("Add", "Sub", "Min", "Max") or not a.is_float)


def compare(s):
    a = s.find(lambda v: v.kind != "bool" and v.exact, s.shape(), s.pick(("float32",) + INTEGERS))
    b = s.partner(a)
    op = s.pick(("Less", "Greater", "Equal", "LessOrEqual", "GreaterOrEqual"))
    s.node(op, [a, b], jumps=True)


def logic(s):
    a = s.find(lambda v: v.kind == "bool", s.shape(), "bool")
    if s.chance(0.3):
        return s.node("Not", [a], exact=True)
    s.node(s.pick(("And", "Or", "Xor")), [a, s.partner(a)], exact=True)


def bits(s):
    a = s.find(lambda v: v.kind in INTEGERS, s.shape(), s.pick(INTEGERS))
    if s.chance(0.25):
        return s.node("BitwiseNot", [a], exact=True)
    b = s.partner(a)
    if a.kind == "uint8" and s.chance(0.4):
        return s.node("BitShift", [a, b], exact=True, direction=s.pick(("LEFT", "RIGHT")))
    s.node(s.pick(("BitwiseAnd", "BitwiseOr", "BitwiseXor")), [a, b], exact=True)


def where(s):
    a = s.any()
    b = s.partner(a)
    shape = np.broadcast_shapes(a.shape, b.shape)
    shape = tuple(1 if s.chance(0.3) else n for n in shape)
    s.node("Where", [s.new(shape, "bool"), a, b], unit=0, exact=True)


def cast(s):
    x = s.any()
    to = s.pick((1, 11, 10, 6, 7, 9))  # f32 f64 f16 i32 i64 bool
    s.node("Cast", [x], unit=1, jumps=to in (6, 7, 9), exact=True, to=to)


def clip(s):
    x = s.find(lambda v: v.kind != "bool", s.shape(), s.pick(("float32", "int32", "float64")))
    low = s.parameter(-1 if x.kind[0] != "u" else 1, x.kind) if s.chance(0.7) else ""
    high = s.parameter(2, x.kind) if s.chance(0.7) else ""
    s.node("Clip", [x, low, high], unit=0, exact=True)


# ---- along axes ---------------------------------------------------------------------------------


def some_axes(s, rank, low=1):
    count = s.integer(min(low, rank), rank)
    axes = [int(a) for a in s.rng.permutation(rank)[:count]]
    return [a - rank if s.chance(0.3) else a for a in axes]


def axis_of(s, x):
    if not x.rank:
        raise Reject("rank 0")
    return s.integer(-x.rank, x.rank - 1)


def reduce(s):
    op = s.pick(("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1",
                 "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"))  # fmt: skip
    kinds = PAIR + ("int32", "int64") if op in ("ReduceSum", "ReduceMax", "ReduceMin") else PAIR
    x = s.find(lambda v: v.kind in kinds, s.shape(), s.pick(kinds))
    inputs = [x]
    if s.chance(0.8):
        inputs.append(s.parameter(some_axes(s, x.rank, 0)))
    same = op in ("ReduceMax", "ReduceMin") or not x.is_float
    s.node(op, inputs, unit=64, exact=same, keepdims=s.integer(0, 1),
           noop_with_empty_axes=s.integer(0, 1))  # fmt: skip


def arg(s):
    x = s.floating(1, 5, PAIR, exact=True)
    if 0 in x.shape:
        raise Reject("nothing to search")
    s.node(s.pick(("ArgMax", "ArgMin")), [x], jumps=True, axis=axis_of(s, x),
           keepdims=s.integer(0, 1), select_last_index=s.integer(0, 1))  # fmt: skip


def softmax(s):
    op = s.pick(("Softmax", "LogSoftmax", "Hardmax"))
    x = s.floating(1, 5, PAIR, exact=op == "Hardmax")
    s.node(op, [x], unit=32, jumps=op == "Hardmax", axis=axis_of(s, x))


def cumulate(s):
    x = s.floating(1, 5, PAIR)
    s.node("CumSum", [x, s.parameter(axis_of(s, x))], unit=64, exclusive=s.integer(0, 1),
           reverse=s.integer(0, 1))  # fmt: skip


def spread(array, axes):
    """Norms divide by the spread; where there is none, roundings are all that is left."""
    if not array.size or float(np.var(array.astype(np.float64), axis=axes).min()) < 0.05:
        raise Reject("all alike")


def norm(s):
    op = s.pick(("LayerNormalization", "RMSNormalization", "GroupNormalization", "LRN",
                 "InstanceNormalization", "BatchNormalization", "LpNormalization",
                 "MeanVarianceNormalization"))  # fmt: skip
    if op in ("LayerNormalization", "RMSNormalization"):
        x = s.floating(1, 4, F32)
        axis = s.integer(-x.rank, -1)  # from the end, where the rank may be unknown
        spread(x.array, tuple(range(axis % x.rank, x.rank)))
        inputs = [x, s.new(x.shape[axis:], x.kind)]
        if op == "LayerNormalization" and s.chance(0.5):
            inputs.append(s.new(x.shape[axis:], x.kind))
        return s.node(op, inputs, unit=64, axis=axis)
    if op == "LpNormalization":
        x = s.floating(1, 4, PAIR)
        return s.node(op, [x], unit=32, axis=axis_of(s, x), p=s.integer(1, 2))
    if op == "MeanVarianceNormalization":
        x = s.floating(4, 4, F32)
        spread(x.array, (0, 2, 3))
        return s.node(op, [x], unit=64)
    if op == "LRN":
        return s.node(op, [s.floating(4, 4, F32)], unit=16, size=s.pick((1, 3, 5)),
                      alpha=s.pick((1e-4, 0.1)), beta=0.75, bias=s.pick((1.0, 2.0)))  # fmt: skip
    x = s.floating(3, 5, F32)
    channels = x.shape[1]
    scale, bias = s.new((channels,), x.kind), s.new((channels,), x.kind)
    if op == "BatchNormalization":
        var = s.given((np.abs(s.draw((channels,), x.kind)) + 0.5).astype(x.kind))
        return s.node(op, [x, scale, bias, s.new((channels,), x.kind), var], unit=32)
    if op == "GroupNormalization":
        groups = [n for n in range(1, channels + 1) if channels % n == 0]
        if not groups:
            raise Reject("no channels")
        groups = s.pick(groups)
        if not x.array.size:
            raise Reject("nothing to normalise")  # nor does numpy know the last size of it
        spread(x.array.reshape(x.shape[0], groups, -1), 2)
        return s.node(op, [x, scale, bias], unit=64, num_groups=groups)
    spread(x.array, tuple(range(2, x.rank)))
    s.node(op, [x, scale, bias], unit=64)


# ---- products -----------------------------------------------------------------------------------


def matmul(s):
    a = s.floating(1, 4, PAIR)
    inner, columns = a.shape[-1], s.size()
    lead = tuple(1 if s.chance(0.3) else n for n in a.shape[:-2])
    shape = (inner,) if s.chance(0.15) else (*lead, inner, columns)
    s.node("MatMul", [a, s.new(shape, a.kind)], unit=8 + inner)


def gemm(s):
    rows, inner, columns = s.size(), s.size(), s.size()
    a = s.find(lambda v: v.rank == 2 and v.kind == "float32", (rows, inner))
    across = s.integer(0, 1)
    rows, inner = a.shape[::-1] if across else a.shape
    turned = s.integer(0, 1)
    b = s.new((columns, inner) if turned else (inner, columns), a.kind)
    inputs = [a, b]
    if s.chance(0.7):
        inputs.append(s.new(s.pick(((), (1,), (columns,), (rows, 1), (rows, columns))), a.kind))
    # ONNX Runtime 1.31 forgets beta where nothing is multiplied
    beta = s.pick((1.0, 2.0)) if inner else 1.0
    s.node("Gemm", inputs, unit=8 + inner, transA=across, transB=turned,
           alpha=s.pick((1.0, 0.5)), beta=beta)  # fmt: skip


def einsum(s):
    pattern = s.pick(("ij,jk->ik", "bij,bjk->bik", "bij,bkj->bik", "ij->ji", "ii->i", "ij,ij->",
                      "bhqd,bhkd->bhqk", "i,j->ij", "bij->bi", "ijk,kl->ijl"))  # fmt: skip
    # ONNX Runtime 1.31 divides by zero where nothing is summed
    sizes = {letter: max(1, s.size()) for letter in "bhijklqd"}
    terms = pattern.split("->")[0].split(",")
    inputs = [s.new(tuple(sizes[c] for c in term)) for term in terms]
    s.node("Einsum", inputs, unit=40, equation=pattern)


def integer_product(s):
    rows, inner, columns = s.size(), s.size(), s.size()
    kinds = s.pick((("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")))
    a, b = s.new((rows, inner), kinds[0]), s.new((inner, columns), kinds[1])
    zeros = [s.parameter(2, kinds[0]), s.parameter(1, kinds[1])] if s.chance(0.6) else []
    s.node("MatMulInteger", [a, b, *zeros], exact=True)


def quantize(s):
    if s.chance(0.5):
        x = s.find(lambda v: v.kind in ("int8", "uint8"), s.shape(), s.pick(("int8", "uint8")))
        scale = s.parameter(s.pick((0.25, 0.5)), "float32")
        return s.node("DequantizeLinear", [x, scale, s.parameter(1, x.kind)], exact=True)
    x = s.floating(kinds=F32, exact=True)
    zero = s.parameter(s.pick((0, 3)), s.pick(("int8", "uint8")))
    s.node("QuantizeLinear", [x, s.parameter(s.pick((0.25, 0.5)), "float32"), zero], jumps=True)


# ---- windows ------------------------------------------------------------------------------------


def image(s, low=3, high=5, kinds=F32):
    """(N,C,...) with sizes that a window fits in."""
    rank = s.integer(low, high)
    most = {3: 17, 4: 11, 5: 6}[rank]
    sizes = [s.integer(3, most) for _ in range(rank - 2)]
    shape = (s.integer(1, 3), s.integer(1, 6), *sizes)
    kind = kinds[0] if s.chance(0.8) else s.pick(kinds)
    return s.find(lambda v: v.kind in kinds and low <= v.rank <= high and
                  min(v.shape[1:]) > 0 and min(v.shape[2:]) > 2, shape, kind)  # fmt: skip


def window(s, x, most=3):
    """kernel, strides, dilations that fit, and pads below the kernel."""
    sizes = x.shape[2:]
    kernel = [s.integer(1, min(most, n)) for n in sizes]
    dilations = [s.integer(1, 2) if (k - 1) * 2 < n else 1 for k, n in zip(kernel, sizes)]
    attributes = {"strides": [s.integer(1, 3) for _ in sizes], "dilations": dilations}
    if s.chance(0.6):
        attributes["pads"] = [s.integer(0, k - 1) for k in kernel + kernel]
    elif s.chance(0.3):
        attributes["auto_pad"] = s.pick(("SAME_UPPER", "SAME_LOWER", "VALID"))
        attributes["dilations"] = [1] * len(sizes)
    return kernel, attributes


def divisors(n):
    return [k for k in range(1, n + 1) if n % k == 0]


def conv(s):
    x = image(s)
    kernel, attributes = window(s, x, s.pick((1, 3, 3, 5)))
    group = s.pick(divisors(x.shape[1]))
    channels = group * s.integer(1, 3)
    weight = s.new((channels, x.shape[1] // group, *kernel), x.kind, s.chance(0.8))
    inputs = [x, weight] + ([s.new((channels,), x.kind)] if s.chance(0.5) else [])
    s.node("Conv", inputs, unit=8 + math.prod(kernel) * x.shape[1], group=group, **attributes)


def conv_transpose(s):
    x = image(s)
    kernel, attributes = window(s, x)
    attributes.pop("auto_pad", None)
    group = s.pick(divisors(x.shape[1]))
    weight = s.new((x.shape[1], s.integer(1, 3), *kernel), x.kind, s.chance(0.8))
    channels = weight.shape[1] * group
    if s.chance(0.4):
        attributes["output_padding"] = [s.integer(0, n - 1) for n in attributes["strides"]]
    inputs = [x, weight] + ([s.new((channels,), x.kind)] if s.chance(0.5) else [])
    s.node("ConvTranspose", inputs, unit=8 + math.prod(kernel) * x.shape[1], group=group,
           **attributes)  # fmt: skip


def conv_integer(s):
    x = s.new((s.integer(1, 2), s.integer(1, 3), s.integer(3, 7), s.integer(3, 7)), "uint8")
    weight = s.told_shape((s.integer(1, 4), x.shape[1], 3, 2), "uint8")
    s.node("ConvInteger", [x, weight, s.parameter(1, "uint8")], exact=True, pads=[1, 0, 1, 1])


def pool(s):
    op = s.pick(("MaxPool", "AveragePool", "LpPool", "GlobalMaxPool", "GlobalAveragePool"))
    x = image(s)
    if op.startswith("Global"):
        return s.node(op, [x], unit=32, exact="Max" in op)
    kernel, attributes = window(s, x)
    if op == "AveragePool":
        attributes["count_include_pad"] = s.integer(0, 1)
    if op == "LpPool":
        attributes["p"] = s.integer(1, 3)
    if op != "LpPool" and "auto_pad" not in attributes:
        attributes["ceil_mode"] = s.integer(0, 1)
    s.node(op, [x], unit=32, exact=op == "MaxPool", kernel_shape=kernel, **attributes)


def resize(s):
    x = image(s, 4, 4)
    mode = s.pick(("nearest", "linear", "cubic"))
    coordinates = s.pick(("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"))
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    if mode == "nearest":
        attributes["nearest_mode"] = s.pick(("round_prefer_floor", "floor", "ceil"))
    h, w = x.shape[2:]
    if s.chance(0.5):
        sizes = [*x.shape[:2], s.integer(1, 2 * h), s.integer(1, 2 * w)]
        inputs = [x, "", "", s.parameter(sizes)]
    else:
        scales = [1.0, 1.0, s.pick((0.5, 1.0, 1.5, 2.0)), s.pick((0.5, 1.0, 2.0, 3.0))]
        if coordinates == "align_corners" and (h * scales[2] % 1 or w * scales[3] % 1):
            raise Reject("the standard and ONNX Runtime differ in the size they divide by")
        inputs = [x, "", s.parameter(scales, "float32")]
    s.node("Resize", inputs, unit=64, exact=mode == "nearest", **attributes)


def rearrange(s):
    op, block = s.pick(("DepthToSpace", "SpaceToDepth")), s.integer(2, 3)
    n, c, h, w = s.integer(1, 2), s.integer(1, 3), s.integer(1, 4), s.integer(1, 4)
    if op == "DepthToSpace":
        x = s.new((n, c * block * block, h, w))
        return s.node(op, [x], exact=True, blocksize=block, mode=s.pick(("DCR", "CRD")))
    s.node(op, [s.new((n, c, h * block, w * block))], exact=True, blocksize=block)


def grid_sample(s):
    x = image(s, 4, 4)
    out = (x.shape[0], s.integer(1, 5), s.integer(1, 5), 2)
    grid = s.given((s.draw(out) / 4 + 0.03125).astype(np.float32))
    s.node("GridSample", [x, grid], unit=64, mode=s.pick(("linear", "cubic")),
           padding_mode=s.pick(("zeros", "border", "reflection")),
           align_corners=s.integer(0, 1))  # fmt: skip


# ---- shapes -------------------------------------------------------------------------------------


def reshape(s):
    x = s.any(0, 5)
    parts, count = [], x.array.size
    for _ in range(s.integer(0, 4)):
        parts.append(s.pick(divisors(count)) if count else s.pick((0, 1, 3)))
        count = count // parts[-1] if count else 0
    if x.array.size and (count > 1 or s.chance(0.3)):
        parts.append(-1 if s.chance(0.5) else count)
    if math.prod(parts) not in (x.array.size, -x.array.size) and -1 not in parts:
        raise Reject("another count")
    if s.chance(0.2):
        return s.node("Flatten", [x], unit=0, exact=True, axis=s.integer(-x.rank, x.rank))
    s.node("Reshape", [x, s.parameter(parts)], unit=0, exact=True, allowzero=int(0 in parts))


def permute(s):
    x = s.any(0, 5)
    perm = [int(i) for i in s.rng.permutation(x.rank)]
    attributes = {"perm": perm} if x.rank and s.chance(0.9) else {}
    s.node("Transpose", [x], unit=0, exact=True, **attributes)


def squeeze(s):
    x = s.any(0, 4)
    if s.chance(0.5):
        ones = [i for i, n in enumerate(x.shape) if n == 1]
        inputs = [x, s.parameter(ones)] if ones and s.chance(0.7) else [x]
        return s.node("Squeeze", inputs, unit=0, exact=True)
    rank = x.rank + s.integer(1, 2)
    axes = sorted(int(a) for a in s.rng.permutation(rank)[: rank - x.rank])
    s.node("Unsqueeze", [x, s.parameter(axes)], unit=0, exact=True)


def concat(s):
    x = s.any(1, 5)
    axis, inputs = axis_of(s, x), [x]
    for _ in range(s.integer(0, 2)):
        shape = list(x.shape)
        shape[axis] = s.size()
        inputs.append(x if s.chance(0.2) else s.new(tuple(shape), x.kind))
    s.rng.shuffle(inputs)
    s.node("Concat", inputs, unit=0, exact=True, axis=axis)


def split(s):
    x = s.any(1, 5)
    axis = axis_of(s, x)
    count = s.integer(1, 3)
    if s.chance(0.5):
        cuts = sorted(s.integer(0, x.shape[axis]) for _ in range(count - 1))
        parts = [int(n) for n in np.diff([0, *cuts, x.shape[axis]])]
        return s.node("Split", [x, s.parameter(parts)], count, unit=0, exact=True, axis=axis)
    s.node("Split", [x], count, unit=0, exact=True, axis=axis, num_outputs=count)


def cut(s):
    x = s.any(1, 5)
    axes = some_axes(s, x.rank)
    starts, ends = ([s.integer(-n - 1, n + 1) for n in [x.shape[a] for a in axes]] for _ in "se")
    steps = [s.pick((1, 1, 1, 2, 3, -1, -2)) for _ in axes]
    ends = [s.pick((e, 2**31, 2**63 - 1)) if step > 0 else s.pick((e, -(2**31)))
            for e, step in zip(ends, steps)]  # fmt: skip
    inputs = [s.parameter(v) for v in (starts, ends, axes, steps)]
    s.node("Slice", [x, *inputs], unit=0, exact=True)


def pad(s):
    x = s.find(lambda v: 1 <= v.rank and v.kind in ("float32", "int32"), s.shape(1, 4))
    mode = s.pick(("constant", "reflect", "edge", "wrap"))
    low = [s.integer(-1 if mode == "constant" and n > 2 else 0, min(2, max(0, n - 1)))
           for n in x.shape]  # fmt: skip
    high = [s.integer(0, min(3, max(0, n - 1))) for n in x.shape]
    inputs = [x, s.parameter(low + high)]
    if mode == "constant" and s.chance(0.6):
        inputs.append(s.parameter(s.pick((0, 2)), x.kind))
    s.node("Pad", inputs, unit=0, exact=True, mode=mode)


def tile(s):
    x = s.any(0, 4)
    if s.chance(0.5):
        repeats = [s.integer(0 if s.chance(0.1) else 1, 3) for _ in x.shape]
        return s.node("Tile", [x, s.parameter(repeats)], unit=0, exact=True)
    shape = [s.size() if n == 1 and s.chance(0.7) else s.pick((1, n)) for n in x.shape]
    shape = [s.integer(1, 3) for _ in range(s.integer(0, 1))] + shape
    s.node("Expand", [x, s.parameter(shape)], unit=0, exact=True)


def about_shape(s):
    op = s.pick(("Shape", "Size", "ConstantOfShape", "Range", "EyeLike", "Trilu"))
    if op == "Shape":
        x = s.any()
        return s.node(op, [x], exact=True, start=s.integer(-3, 3), end=s.integer(-3, 6))
    if op == "Size":
        return s.node(op, [s.any()], exact=True)
    if op == "ConstantOfShape":
        return s.node(op, [s.parameter(list(s.shape(0, 4)))], exact=True)
    if op == "Range":
        kind = s.pick(("int64", "float32", "int32"))
        numbers = (s.integer(-4, 4), s.integer(-9, 9), s.pick((1, 2, -1, -3)))
        return s.node(op, [s.parameter(n, kind) for n in numbers], exact=True)
    if op == "EyeLike":
        x = s.find(lambda v: v.rank == 2, (s.size(), s.size()))
        return s.node(op, [x], exact=True, k=s.integer(-2, 2), dtype=1)
    x = s.floating(2, 4, PAIR)
    inputs = [x, s.parameter(s.integer(-3, 3))] if s.chance(0.7) else [x]
    s.node(op, inputs, unit=0, exact=True, upper=s.integer(0, 1))


# ---- indices ------------------------------------------------------------------------------------


def indices(s, shape, size, negative=True):
    if size == 0:
        raise Reject("nothing to index")
    low = -size if negative else 0
    return s.given(np.asarray(s.rng.integers(low, size, shape)).astype(s.pick(("int64", "int32"))))


def gather(s):
    x = s.any(1, 4)
    axis = axis_of(s, x)
    op = s.pick(("Gather", "GatherElements", "GatherND"))
    if op == "Gather":
        at = indices(s, s.shape(0, 2), x.shape[axis])
        return s.node(op, [x, at], unit=0, exact=True, axis=axis)
    if op == "GatherElements":
        shape = tuple(s.integer(1, n) if n else 0 for n in x.shape)
        return s.node(op, [x, indices(s, shape, x.shape[axis])], unit=0, exact=True, axis=axis)
    depth = s.integer(1, x.rank)
    rows = s.shape(0, 2)
    if not all(x.shape[:depth]):
        raise Reject("nothing to index")
    at = np.stack([s.rng.integers(-n, n, rows) for n in x.shape[:depth]], -1)
    s.node(op, [x, s.given(np.asarray(at, dtype=np.int64))], unit=0, exact=True)


def scatter(s):
    x = s.floating(1, 4, F32)
    axis = axis_of(s, x)
    if not x.array.size:
        raise Reject("nothing to index")
    reduction = s.pick(("none", "none", "add", "mul", "max", "min"))
    if s.chance(0.5):
        count = s.integer(1, x.shape[axis])
        line = s.rng.permutation(x.shape[axis])[:count]  # no place twice
        shape = list(x.shape)
        shape[axis] = count
        at = np.broadcast_to(line.reshape([-1 if i == axis % x.rank else 1 for i in range(x.rank)]),
                             shape)  # fmt: skip
        inputs = [x, s.given(np.array(at, dtype=np.int64)), s.new(tuple(shape))]
        return s.node("ScatterElements", inputs, exact=True, axis=axis, reduction=reduction)
    rows = s.rng.permutation(x.shape[0])[: s.integer(1, x.shape[0])]
    at = s.given(np.array(rows, dtype=np.int64).reshape(-1, 1))
    updates = s.new((len(rows), *x.shape[1:]))
    s.node("ScatterND", [x, at, updates], exact=True, reduction=reduction)


def one_hot(s):
    at = indices(s, s.shape(0, 3), 5)
    s.node("OneHot", [at, s.parameter(s.integer(1, 7)), s.new((2,))], exact=True,
           axis=s.integer(-1, at.rank))  # fmt: skip


def top_k(s):
    x = s.floating(1, 4, PAIR, exact=True)
    axis = axis_of(s, x)
    k = s.integer(0, x.shape[axis])
    s.node("TopK", [x, s.parameter([k])], 2, jumps=True, axis=axis, largest=s.integer(0, 1),
           sorted=1)  # fmt: skip


def found(s):
    """Sizes that only the run tells."""
    op = s.pick(("NonZero", "Compress", "Unique"))
    if op == "NonZero":
        return s.node(op, [s.any(1, 4, exact=True)], jumps=True)
    if op == "Unique":
        return s.node(op, [s.floating(1, 2, F32, exact=True)], 4, jumps=True, sorted=1)
    x = s.any(1, 4)
    axis = axis_of(s, x)
    condition = s.new((s.integer(1, max(1, x.shape[axis])),), "bool")
    s.node(op, [x, condition], unit=0, exact=True, axis=axis)


def reverse(s):
    x = s.floating(2, 4, F32)
    if 0 in x.shape:
        raise Reject("empty")
    time = s.integer(0, 1)
    lengths = s.rng.integers(1, x.shape[time] + 1, x.shape[1 - time])
    s.node("ReverseSequence", [x, s.given(lengths.astype(np.int64))], unit=0, exact=True,
           time_axis=time, batch_axis=1 - time)  # fmt: skip


# ---- recurrent, attention, spectrum -------------------------------------------------------------


def recurrent(s):
    op = s.pick(("LSTM", "GRU", "RNN"))
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    steps, batch, reads, hidden = (s.integer(1, 5) for _ in range(4))
    direction = s.pick(("forward", "reverse", "bidirectional"))
    ways = 2 if direction == "bidirectional" else 1
    inputs = [s.new((steps, batch, reads)), s.new((ways, gates * hidden, reads)),
              s.new((ways, gates * hidden, hidden))]  # fmt: skip
    optional = [s.new((ways, 2 * gates * hidden)),
                s.given(s.rng.integers(1, steps + 1, batch).astype(np.int32)),
                s.new((ways, batch, hidden))]  # fmt: skip
    if op == "LSTM":
        optional.append(s.new((ways, batch, hidden)))
    inputs += [v if s.chance(0.5) else "" for v in optional]
    attributes = {"linear_before_reset": s.integer(0, 1)} if op == "GRU" else {}
    s.node(op, inputs, 3 if op == "LSTM" else 2, unit=800, hidden_size=hidden,
           direction=direction, **attributes)  # fmt: skip


def attention(s):
    batch, heads, queries, keys, width = (s.integer(1, 4) for _ in range(5))
    shared = s.pick((1, heads))
    q = s.new((batch, heads * shared, queries, 2 * width))
    k, v = (s.new((batch, heads, keys, 2 * width)) for _ in "kv")
    inputs = [q, k, v]
    if s.chance(0.4):
        inputs.append(s.new((queries, keys), s.pick(("float32", "bool"))))
    s.node("Attention", inputs, unit=256, is_causal=int(len(inputs) == 3 and s.chance(0.3)))


def written_attention(s):
    """As exporters write it: the passes make one operator of it."""
    batch, heads, queries, keys, width = (s.integer(1, 5) for _ in range(5))
    q, v = s.new((batch, heads, queries, width)), s.new((batch, heads, keys, width))
    k = s.new((batch, heads, width, keys))
    (scores,) = s.node("MatMul", [q, k], unit=16)
    (scores,) = s.node(s.pick(("Mul", "Div")), [scores, s.parameter(2.0, "float32", 1)])
    if s.chance(0.4):
        (scores,) = s.node("Add", [scores, s.new((queries, keys))])
    (weights,) = s.node("Softmax", [scores], unit=32, axis=-1)
    s.node("MatMul", [weights, v], unit=32)


def residual(s):
    """A convolution and what is usually fused into it."""
    x = image(s, 4, 4)
    channels = s.integer(1, 9)
    weight = s.new((channels, x.shape[1], 3, 3), constant=True)
    (y,) = s.node("Conv", [x, weight], unit=8 + 9 * x.shape[1], pads=[1, 1, 1, 1])
    if s.chance(0.5):
        numbers = [s.new((channels,), constant=True) for _ in range(3)]
        var = s.given((np.abs(s.draw((channels,))) + 0.5).astype(np.float32), True)
        (y,) = s.node("BatchNormalization", [y, *numbers, var], unit=32)
    if s.chance(0.6):
        shape = s.pick((y.shape, (1, channels, 1, 1), y.shape[1:], (1,)))
        (y,) = s.node("Add", [y, s.new(tuple(shape))])
    if s.chance(0.6):
        (y,) = s.node(s.pick(("Relu", "Sigmoid", "Tanh")), [y])


def spectrum(s):
    length = s.integer(2, 12)
    if s.chance(0.3):
        op = s.pick(("HannWindow", "HammingWindow", "BlackmanWindow"))
        return s.node(op, [s.parameter(length)], unit=64, periodic=s.integer(0, 1))
    x = s.new((s.integer(1, 3), length, s.integer(1, 2)))
    s.node("DFT", [x, "", s.parameter(1, constant=1.0)], unit=64, inverse=s.integer(0, 1))


ALL = (
    unary, unary, exact_unary, binary, binary, compare, logic, bits, where, cast, clip, reduce, arg,
    softmax, cumulate, norm, norm, matmul, gemm, einsum, integer_product, quantize, conv, conv,
    conv_transpose, conv_integer, pool, resize, rearrange, grid_sample, reshape, permute, squeeze,
    concat, split, cut, pad, tile, about_shape, gather, scatter, one_hot, top_k, found, reverse,
    recurrent, attention, written_attention, residual, spectrum,
)  # fmt: skip

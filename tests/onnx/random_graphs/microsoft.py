"""Operators of ONNX Runtime's own domain: fused ones of floats, and some on quantized numbers."""

import numpy as np

from . import families, special
from .builder import Reject

MS = "com.microsoft"


def gelus(s):
    op = s.pick(("Gelu", "QuickGelu", "FastGelu", "BiasGelu"))
    x = s.floating(1, 4, families.F32)
    bias = [s.new(x.shape[-1:])] if op == "BiasGelu" or op == "FastGelu" and s.chance(0.5) else []
    s.node(op, [x, *bias], unit=32, domain=MS)


def norms(s):
    op = s.pick(("SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
                 "SimplifiedLayerNormalization"))  # fmt: skip
    x = s.told_shape((s.integer(1, 3), s.integer(1, 4), s.integer(2, 9)))
    families.spread(x.array, 2)
    gamma, beta, bias = (s.new(x.shape[2:]) for _ in "gbb")
    if op == "SimplifiedLayerNormalization":
        return s.node(op, [x, gamma], unit=64, axis=-1)
    skip = s.told_shape(s.pick((x.shape, (1, *x.shape[1:]), x.shape[1:])))
    families.spread(x.array + skip.array, 2)
    inputs = [x, skip, gamma] + [beta] * (op == "SkipLayerNormalization") + [bias] * s.integer(0, 1)
    if bias in inputs:
        families.spread(x.array + skip.array + bias.array, 2)
    s.node(op, inputs, unit=128, domain=MS, epsilon=1e-4)


def embeddings(s):
    batch, length, width = s.integer(1, 3), s.integer(1, 4), s.integer(2, 9)
    rows = [s.integer(1, 9), s.integer(length, 6), s.integer(1, 2)]
    tables = [s.told_shape((n, width)) for n in rows]
    words, segments = (s.given(s.rng.integers(0, n, (batch, length)).astype(np.int32))
                       for n in (rows[0], rows[2]))  # fmt: skip
    total = tables[0].array[words.array] + tables[1].array[:length]
    families.spread(total + tables[2].array[segments.array], 2)
    if s.chance(0.3):
        kinds = [special.quantised(s, shape, "uint8", told=True)
                 for shape in (*(v.shape for v in tables), (width,), (width,))]  # fmt: skip
        total = kinds[0][0].array[words.array] + kinds[1][0].array[:length] * 1.0
        families.spread(total, 2)
        return s.node("QEmbedLayerNormalization", [words, segments, *(k[0] for k in kinds), "",
                      *(k[1] for k in kinds), *(k[2] for k in kinds)], 2, unit=512, domain=MS,
                      epsilon=1e-2)  # fmt: skip
    s.node("EmbedLayerNormalization", [words, segments, *tables, s.new((width,)), s.new((width,))],
           2, unit=128, domain=MS)  # fmt: skip


def fused_conv(s):
    x = families.image(s, 4, 4)
    kernel, attributes = families.window(s, x)
    channels = s.integer(1, 4)
    inputs = [x, s.new((channels, x.shape[1], *kernel)), s.new((channels,))]
    s.node("FusedConv", inputs, unit=8 + int(np.prod(kernel)) * x.shape[1], domain=MS,
           activation=s.pick(("Relu", "Tanh", "Sigmoid")), **attributes)  # fmt: skip


def fused_products(s):
    op = s.pick(("FusedGemm", "FusedMatMul"))
    rows, inner, columns = (s.integer(1, 9) for _ in range(3))
    ways = [s.integer(0, 1) for _ in "ab"]
    lead = () if op == "FusedGemm" else (s.integer(1, 3),)
    a = s.new(lead + ((inner, rows) if ways[0] else (rows, inner)))
    b = s.new(lead + ((columns, inner) if ways[1] else (inner, columns)))
    attributes = {"transA": ways[0], "transB": ways[1], "alpha": s.pick((0.5, 1.0))}
    if op == "FusedGemm":
        return s.node(op, [a, b, s.new((columns,))], unit=8 + inner, domain=MS,
                      activation=s.pick(("Relu", "Tanh")), **attributes)  # fmt: skip
    s.node(op, [a, b], unit=8 + inner, domain=MS, **attributes)


# ---- quantized: powers of two, so that ONNX Runtime and we round the same numbers ---------------


def two(s, shape, kind):
    return [special.quantised(s, shape, kind) for _ in "ab"]


def elements(s):
    op = s.pick(("QLinearAdd", "QLinearMul", "QLinearConcat", "QLinearWhere", "QLinearLeakyRelu"))
    kind, shape = s.pick(("uint8", "int8")), s.shape(1, 4)
    if 0 in shape:
        raise Reject("nothing to quantize")
    a, b = two(s, shape, kind)
    result = special.result_scale(s, kind)
    if op == "QLinearConcat":
        return s.node(op, [*result, *a, *b], exact=True, domain=MS, axis=len(shape) - 1)
    if op == "QLinearWhere":
        return s.node(op, [s.new(shape, "bool"), *a, *b, *result], exact=True, domain=MS)
    if op == "QLinearLeakyRelu":
        return s.node(op, [*a, *result], exact=True, domain=MS, alpha=0.25)
    s.node(op, [*a, *b, *result], exact=True, domain=MS)


def pools(s):
    op = s.pick(("QLinearAveragePool", "QLinearGlobalAveragePool", "NhwcMaxPool"))
    kind = s.pick(("uint8", "int8"))
    x = special.quantised(s, (s.integer(1, 2), s.integer(2, 5), 4, 2), kind, told=True)
    if op == "NhwcMaxPool":
        return s.node(op, x[:1], exact=True, domain=MS, kernel_shape=[2, 2], strides=[1, 2])
    result = special.result_scale(s, kind)
    if op == "QLinearGlobalAveragePool":
        return s.node(op, [*x, *result], exact=True, domain=MS, channels_last=0)
    s.node(op, [*x, *result], exact=True, domain=MS, kernel_shape=[2, 2], strides=[2, 1])


def products(s):
    op = s.pick(("QGemm", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"))
    rows, inner, columns = (s.integer(1, 9) for _ in range(3))
    a, b = two(s, (rows, inner), "uint8")[0], special.quantised(s, (inner, columns), "int8")
    if op == "QGemm":
        bias = s.given(s.draw((columns,), "int32"), True) if s.chance(0.5) else ""
        return s.node(op, [*a, *b, bias, *special.result_scale(s, "uint8")], exact=True, domain=MS)
    if op == "MatMulIntegerToFloat":
        inputs = [a[0], b[0], a[1], b[1], a[2], b[2], s.new((columns,))]
        return s.node(op, inputs, exact=True, domain=MS)
    x = s.new((rows, inner))
    s.node(op, [x, *b, s.new((columns,))], unit=32, domain=MS)


# ---- weights of few bits ------------------------------------------------------------------------


def blocks(s):
    block, count, rows, bits = 16, s.integer(1, 3), s.integer(1, 6), s.pick((4, 8))
    inner = block * count - s.integer(0, 1) * 8
    x = s.new((*s.shape(0, 2), s.integer(1, 4), inner))
    weight = s.rng.integers(0, 256, (rows, count, block * bits // 8)).astype(np.uint8)
    scale = (2.0 ** -s.rng.integers(3, 6, (rows, count))).astype(np.float32)
    s.node("MatMulNBits", [x, s.given(weight, True), s.given(scale, True)], unit=8 + inner,
           domain=MS, K=inner, N=rows, bits=bits, block_size=block)  # fmt: skip


def rows_of_blocks(s):
    rows = s.integer(1, 9)
    table = s.given(s.rng.integers(0, 256, (rows, 16)).astype(np.uint8), True)
    at = s.given(np.asarray(s.rng.integers(0, rows, s.shape(1, 2))))
    if not at.array.size:
        raise Reject("no rows")
    s.node("GatherBlockQuantized", [table, at, s.new((rows, 2), constant=True)], unit=4, domain=MS,
           block_size=16, gather_axis=0, quantize_axis=1)  # fmt: skip


# ---- attention ----------------------------------------------------------------------------------


def attention(s):
    op = s.pick(("Attention", "MultiHeadAttention", "QAttention"))
    batch, length, heads, depth = (s.integer(1, 4) for _ in range(4))
    width = heads * 2 * depth
    if op == "QAttention":
        x, w = (special.quantised(s, shape, kind, told=True) for shape, kind in
                (((batch, length, 5), "uint8"), ((5, 3 * width), "int8")))  # fmt: skip
        return s.node(op, [x[0], w[0], s.told_shape((3 * width,)), x[1], w[1], "", x[2], w[2]],
                      unit=256, domain=MS, num_heads=heads)  # fmt: skip
    if op == "Attention":
        inputs = [s.told_shape((batch, length, s.integer(1, 9)))]
        inputs += [s.told_shape((inputs[0].shape[2], 3 * width)), s.told_shape((3 * width,))]
    else:
        keys = s.integer(1, 5)
        inputs = [s.told_shape((batch, n, width)) for n in (length, keys, keys)]
        if s.chance(0.5):
            inputs.append(s.told_shape((3 * width,)))
    causal = int(op == "Attention" and s.chance(0.4))
    s.node(op, inputs, unit=256, domain=MS, num_heads=heads, unidirectional=causal)


def rotated(s):
    batch, length, heads, half = (s.integer(1, 4) for _ in range(4))
    shape = (batch, heads, length, 2 * half) if s.chance(0.5) else (batch, length, 2 * heads * half)
    tables = [s.told_shape((8, half)) for _ in "cs"]
    places = s.integer(0, 4) + np.zeros(1, int)
    if s.chance(0.5):
        places = s.rng.integers(0, 8, (batch, length))
    at = s.given(places)
    s.top.told.add(at.name)
    s.node("RotaryEmbedding", [s.told_shape(shape), at, *tables], unit=16, domain=MS,
           interleaved=s.integer(0, 1))  # fmt: skip


ALL = (gelus, norms, embeddings, fused_conv, fused_products, elements, pools, products, blocks,
       rows_of_blocks, attention, rotated)  # fmt: skip

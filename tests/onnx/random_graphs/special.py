"""Operators with a purpose of their own: quantised products, regions, geometry, losses, trees."""

import numpy as np
from onnx import helper

from . import families
from .builder import Reject

ML = "ai.onnx.ml"


# ---- quantised ----------------------------------------------------------------------------------


def quantised(s, shape, kind, told=False, channels=0):
    """Numbers, their scale and zero point; powers of two keep products exact."""
    x = s.told_shape(shape, kind) if told else s.new(shape, kind)
    many = [channels] if channels and s.chance(0.4) else []
    scale = s.given(np.array(2.0 ** -s.rng.integers(0, 3, many), np.float32), True)
    zero = s.rng.integers(0, 4, many) if kind == "uint8" or not many else np.zeros(many)
    return [x, scale, s.given(np.array(zero).astype(kind), True)]


def quantised_kinds(s):
    return s.pick((("uint8", "int8"), ("uint8", "uint8"), ("int8", "int8")))


def result_scale(s, kind):
    return [s.parameter(s.pick((0.5, 1.0, 4.0)), "float32", 1.0), s.parameter(2, kind, 1.0)]


def quantised_conv(s):
    x_kind, w_kind = quantised_kinds(s)
    group = s.integer(1, 2)
    x = quantised(s, (s.integer(1, 2), group * s.integer(1, 3), s.integer(3, 7), s.integer(3, 7)),
                  x_kind)  # fmt: skip
    kernel, attributes = families.window(s, x[0])
    channels = group * s.integer(1, 3)
    shape = (channels, x[0].shape[1] // group, *kernel)
    w = quantised(s, shape, w_kind, True, channels if w_kind == "int8" else 0)
    bias = [s.given(s.draw((channels,), "int32"), True)] if s.chance(0.5) else []
    s.node("QLinearConv", [*x, *w, *result_scale(s, x_kind), *bias], exact=True, group=group,
           **attributes)  # fmt: skip


def quantised_product(s):
    a_kind, b_kind = quantised_kinds(s)
    rows, inner, columns = (s.integer(1, 9) for _ in range(3))
    lead = (s.integer(1, 3),) if s.chance(0.3) else ()
    a, b = quantised(s, (*lead, rows, inner), a_kind), quantised(s, (inner, columns), b_kind)
    s.node("QLinearMatMul", [*a, *b, *result_scale(s, a_kind)], exact=True)


def quantise_by_range(s):
    x = s.floating(1, 3, families.F32, exact=True)
    if not x.array.size:
        raise Reject("the range of nothing")
    s.node("DynamicQuantizeLinear", [x], 3, jumps=True)


# ---- regions ------------------------------------------------------------------------------------


def corners(s, count, size):
    """(count,4) x1 y1 x2 y2 in quarters, inside and a little outside of a picture."""
    low = s.rng.integers(-2, 2 * size, (count, 2)) / 4
    return np.hstack([low, low + s.rng.integers(2, 3 * size, (count, 2)) / 4]).astype(np.float32)


def region_picture(s):
    return s.new((s.integer(1, 2), s.integer(1, 3), s.integer(4, 8), s.integer(4, 8)))


def roi_align(s):
    x, count = region_picture(s), s.integer(1, 3)
    rois = s.given(corners(s, count, 6))
    picture = s.given(np.asarray(s.rng.integers(0, x.shape[0], count)))
    s.node("RoiAlign", [x, rois, picture], unit=64, mode=s.pick(("avg", "max")),
           output_height=s.integer(1, 4), output_width=s.integer(1, 4),
           sampling_ratio=s.integer(0, 3), spatial_scale=s.pick((0.5, 1.0)),
           coordinate_transformation_mode=s.pick(("half_pixel", "output_half_pixel")))  # fmt: skip


def roi_pool(s):
    x, count = region_picture(s), s.integer(1, 3)
    picture = s.rng.integers(0, x.shape[0], (count, 1))
    low = s.rng.integers(0, 3, (count, 2))
    rois = np.hstack([picture, low, low + s.rng.integers(0, 4, (count, 2))]).astype(np.float32)
    s.node("MaxRoiPool", [x, s.given(rois)], unit=0, exact=True,
           pooled_shape=[s.integer(1, 3), s.integer(1, 3)])  # fmt: skip


def suppress(s):
    batch, classes, count = s.integer(1, 2), s.integer(1, 2), s.integer(1, 9)
    boxes = np.stack([corners(s, count, 6) for _ in range(batch)])
    scores = s.rng.permutation(batch * classes * count).reshape(batch, classes, count) / 64
    inputs = [s.given(boxes), s.given(scores.astype(np.float32)), s.parameter([s.integer(0, 4)])]
    if s.chance(0.8):
        inputs += [s.parameter([s.pick((0.2, 0.45))], "float32"),
                   s.parameter([s.pick((0.0, 0.13))], "float32")][: s.integer(1, 2)]  # fmt: skip
    s.node("NonMaxSuppression", inputs, jumps=True, center_point_box=s.integer(0, 1))


def columns_to_image(s):
    dims = 2  # ONNX Runtime 1.31 adds the columns of one dimension at wrong places
    image, block = [s.integer(3, 7) for _ in range(dims)], [s.integer(1, 3) for _ in range(dims)]
    strides, pads = [s.integer(1, 2) for _ in block], [s.integer(0, 1) for _ in block * 2]
    dilations = [s.integer(1, 2) if k < 3 else 1 for k in block]
    places = [(n + pads[i] + pads[i + dims] - (block[i] - 1) * dilations[i] - 1) // strides[i] + 1
              for i, n in enumerate(image)]  # fmt: skip
    if min(places) < 1:
        raise Reject("no place")
    x = s.new((s.integer(1, 2), s.integer(1, 3) * int(np.prod(block)), int(np.prod(places))))
    s.node("Col2Im", [x, s.parameter(image), s.parameter(block)], exact=True, strides=strides,
           pads=pads, dilations=dilations)  # fmt: skip


def crop_or_pad(s):
    x = s.any(1, 4)
    axes = families.some_axes(s, x.rank)
    s.node("CenterCropPad", [x, s.parameter([s.integer(1, 9) for _ in axes])], unit=0, exact=True,
           axes=axes)  # fmt: skip


def unpool(s):
    # the inferred size is that of the input; for another ONNX Runtime reads indices its own way
    x = s.new((s.integer(1, 2), s.integer(1, 3), *(2 * s.integer(1, 3) for _ in range(2))))
    kernel = {"kernel_shape": [2, 2], "strides": [2, 2]}
    best, at = s.node("MaxPool", [x], 2, jumps=True, **kernel)
    s.node("MaxUnpool", [best, at], unit=0, exact=True, **kernel)


def pool_all(s):
    s.node("GlobalLpPool", [families.image(s)], unit=32, p=s.integer(1, 3))


def deform(s):
    x = s.new((s.integer(1, 2), 2 * s.integer(1, 2), s.integer(3, 6), s.integer(3, 6)))
    group, offsets, taps = s.integer(1, 2), s.integer(1, 2), (s.integer(1, 3), s.integer(1, 3))
    weight = s.new((group * s.integer(1, 2), x.shape[1] // group, *taps))
    places = [n - k + 1 for n, k in zip(x.shape[2:], taps)]
    count = (x.shape[0], offsets * taps[0] * taps[1])
    # between the pixels, so that no rounding decides which are read
    moved = s.draw((count[0], 2 * count[1], *places)) / 2 + 0.0625
    inputs = [x, weight, s.given(moved.astype(np.float32))]
    if s.chance(0.5):
        inputs += [s.new((weight.shape[0],)), s.new((*count, *places))]
    s.node("DeformConv", inputs, unit=128, group=group, offset_group=offsets)


# ---- geometry and sound -------------------------------------------------------------------------


def determinant(s):
    n = s.integer(1, 4)
    s.node("Det", [s.new((*s.shape(0, 2), n, n))], unit=64)


def affine_grid(s):
    dims = s.integer(2, 3)
    size = [s.integer(1, 2), s.integer(1, 2), *(s.integer(2, 5) for _ in range(dims))]
    theta = s.new((size[0], dims, dims + 1))
    s.node("AffineGrid", [theta, s.parameter(size)], unit=32, align_corners=s.integer(0, 1))


def rotate(s):
    batch, heads, steps, half = (s.integer(1, 4) for _ in range(4))
    part = 2 * s.integer(1, half) if s.chance(0.3) else 0
    x, inputs = s.new((batch, heads, steps, 2 * half)), []
    rows = (s.integer(steps, 9),) if s.chance(0.5) else (batch, steps)
    inputs = [s.new((*rows, part // 2 or half)) for _ in "cs"]
    if len(rows) == 1:
        inputs.append(s.given(np.asarray(s.rng.integers(0, rows[0], (batch, steps)))))
    s.node("RotaryEmbedding", [x, *inputs], unit=16, interleaved=s.integer(0, 1),
           rotary_embedding_dim=part)  # fmt: skip


def short_spectra(s):
    frame, step = s.integer(2, 9), s.integer(1, 4)
    parts = s.integer(1, 2)
    x = s.new((s.integer(1, 2), frame + s.integer(0, 9), parts))
    window = s.new((frame,)) if s.chance(0.6) else ""
    s.node("STFT", [x, s.parameter(step, constant=1.0), window,
                    s.parameter(frame, constant=1.0) if not window or s.chance(0.5) else ""],
           unit=256, onesided=s.integer(0, 1) if parts == 1 else 0)  # fmt: skip


def mel_matrix(s):
    bands, length = s.integer(1, 6), s.pick((16, 32, 64))
    edges = s.pick((0.0, 100.0)), s.pick((3000.0, 4000.0))
    inputs = [s.parameter(n) for n in (bands, length, 8000)]
    s.node("MelWeightMatrix", inputs + [s.parameter(e, "float32") for e in edges], unit=64)


# ---- losses, trees and what passes through ------------------------------------------------------


def loss(s):
    op = s.pick(("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"))
    batch, classes = s.integer(1, 4), s.integer(1, 5)
    more = tuple(s.integer(1, 3) for _ in range(s.integer(0, 2)))
    target = s.given(np.asarray(s.rng.integers(0, classes, (batch, *more))))
    inputs = [s.new((batch, classes, *more)), target]
    if s.chance(0.5):
        weight = np.abs(s.draw((classes,))) + 0.25
        inputs.append(s.given(weight.astype(np.float32)))
    attributes = {"ignore_index": 0} if s.chance(0.3) else {}
    outputs = 2 if op[0] == "S" and s.chance(0.5) else 1
    s.node(op, inputs, outputs, unit=64, reduction=s.pick(("none", "mean", "sum")), **attributes)


def passed_on(s):
    op = s.pick(("Dropout", "CastLike", "Constant"))
    if op == "Constant":
        value = s.draw(s.shape(0, 3), s.pick(("float32", "int64", "bool")))
        attribute = helper.make_tensor("value", helper.np_dtype_to_tensor_dtype(value.dtype),
                                       value.shape, value.flatten().tolist())  # fmt: skip
        return s.node(op, [], exact=True, value=attribute)
    if op == "CastLike":
        return s.node(op, [s.any(), s.new((1,), s.pick(("float32", "float64", "float16")))],
                      unit=1, exact=True)  # fmt: skip
    x = s.floating(0, 4, families.F32)
    inputs = [x, s.parameter(0.5, "float32"), s.parameter(False, "bool", 1.0)]
    s.node(op, inputs[: s.integer(1, 3)], s.integer(1, 2), unit=0, exact=True)


def ngrams(s):
    """Pairs and single words of a small vocabulary, counted."""
    x = s.given(np.asarray(s.rng.integers(0, 4, (s.integer(1, 3), s.integer(1, 9)))))
    s.node("TfIdfVectorizer", [x], jumps=True, mode=s.pick(("TF", "IDF", "TFIDF")),
           min_gram_length=1, max_gram_length=2, max_skip_count=s.integer(0, 2),
           ngram_counts=[0, 2], ngram_indexes=[0, 1, 2, 3], pool_int64s=[1, 2, 1, 2, 3, 0],
           weights=[0.5, 1.0, 2.0, 0.25])  # fmt: skip


def binarize(s):
    x = s.floating(1, 3, families.F32, exact=True)
    s.node("Binarizer", [x], jumps=True, domain=ML, threshold=s.pick((0.0, 0.5)))


def features(s):
    x = s.told_shape((s.integer(1, 4), s.integer(1, 5)))
    at = s.given(np.asarray(s.rng.integers(0, x.shape[1], s.integer(1, 4))))
    s.node("ArrayFeatureExtractor", [x, at], unit=0, exact=True, domain=ML)


def tree(s):
    """A root and its two leaves."""
    x = s.new((s.integer(1, 4), s.integer(1, 5)))

    def numbers(name, kind, values):
        return helper.make_tensor(name, kind, [len(values)], values)

    s.node("TreeEnsemble", [x], jumps=True, domain=ML, n_targets=2, aggregate_function=1,
           post_transform=0, tree_roots=[0], nodes_featureids=[s.integer(0, x.shape[1] - 1)],
           nodes_modes=numbers("modes", 2, [s.integer(0, 5)]),
           nodes_splits=numbers("splits", 1, [s.integer(-8, 8) / 4]),
           nodes_truenodeids=[0], nodes_trueleafs=[1], nodes_falsenodeids=[1],
           nodes_falseleafs=[1], leaf_targetids=[0, s.integer(0, 1)],
           leaf_weights=numbers("weights", 1, [0.5, -1.25]))  # fmt: skip


ALL = (
    quantised_conv, quantised_product, quantise_by_range, roi_align, roi_pool, suppress,
    columns_to_image, crop_or_pad, unpool, pool_all, deform, determinant, affine_grid, rotate,
    short_spectra, mel_matrix, loss, passed_on, ngrams, binarize, features, tree,
)  # fmt: skip

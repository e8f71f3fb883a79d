"""Classic learners and what stands around them."""

import numpy as np

from .builder import Reject

ML = "ai.onnx.ml"


def quarters(s, *shape):
    return s.draw(shape).reshape(-1).tolist()


def linear(s):
    op, rows = s.pick(("LinearClassifier", "LinearRegressor")), s.integer(1, 3)
    x = s.new((s.integer(1, 5), s.integer(1, 5)))
    lists = {"coefficients": quarters(s, rows, x.shape[1]), "intercepts": quarters(s, rows)}
    if op == "LinearRegressor":
        return s.node(op, [x], exact=True, domain=ML, targets=rows, **lists)
    s.node(op, [x], 2, jumps=True, domain=ML, classlabels_ints=[3, 1, 2][: max(2, rows)], **lists)


def columns(s):
    op = s.pick(("Scaler", "Normalizer", "Imputer", "FeatureVectorizer"))
    x = s.told_shape((s.integer(1, 5), s.integer(1, 5)))
    size = s.pick((1, x.shape[1]))
    if op == "Scaler":
        return s.node(op, [x], domain=ML, offset=quarters(s, size), scale=quarters(s, size))
    if op == "Normalizer":
        return s.node(op, [x], unit=32, domain=ML, norm=s.pick(("MAX", "L1", "L2")))
    if op == "Imputer":
        return s.node(op, [x], jumps=True, domain=ML, imputed_value_floats=quarters(s, size),
                      replaced_value_float=s.pick((0.0, 0.5)))  # fmt: skip
    y = s.told_shape((x.shape[0], s.integer(1, 4)))
    s.node(op, [x, y], unit=0, exact=True, domain=ML, inputdimensions=[x.shape[1], y.shape[1]])


def labels(s):
    op = s.pick(("LabelEncoder", "OneHotEncoder"))
    x = s.find(lambda v: v.kind == "int64" and 1 <= v.rank <= 2, s.shape(1, 2), "int64")
    if not x.array.size:
        raise Reject("nothing to encode")
    keys = [int(k) for k in s.rng.permutation(np.arange(-7, 8))[: s.integer(1, 9)]]
    if op == "OneHotEncoder":
        return s.node(op, [x], exact=True, domain=ML, cats_int64s=keys, zeros=1)
    if s.chance(0.5):
        return s.node(op, [x], exact=True, domain=ML, keys_int64s=keys,
                      values_floats=quarters(s, len(keys)), default_float=-0.5)  # fmt: skip
    s.node(op, [x], exact=True, domain=ML, keys_int64s=keys, values_int64s=keys[::-1])


def support_vectors(s):
    x, count = s.new((s.integer(1, 5), s.integer(1, 5))), s.integer(2, 4)
    lists = {"kernel_type": s.pick(("LINEAR", "POLY", "SIGMOID")), "rho": quarters(s, 1),
             "kernel_params": [0.25, 0.5, 2.0], "coefficients": quarters(s, count),
             "support_vectors": quarters(s, count, x.shape[1])}  # fmt: skip
    if s.chance(0.5):
        return s.node("SVMRegressor", [x], unit=128, domain=ML, n_supports=count, **lists)
    lists["kernel_type"] = "LINEAR"  # whose decisions are exact, and so are labels
    s.node("SVMClassifier", [x], 2, jumps=True, domain=ML, vectors_per_class=[1, count - 1],
           classlabels_ints=[5, 3], **lists)  # fmt: skip


ALL = (linear, columns, labels, support_vectors)

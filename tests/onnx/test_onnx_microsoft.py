"""Operators that ONNX Runtime's optimiser and quantizer write, one by one."""

import numpy as np
import pytest
from onnx import TensorProto, helper

import onnx_run

F32, F16 = np.float32, np.float16
DOMAINS = {"com.microsoft": 1}


def rand(*shape, seed=0, dtype=F32):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def ints(low, high, *shape, dtype):
    return np.random.default_rng([*shape]).integers(low, high, shape).astype(dtype)


class Case:
    """A node: constants hold its second and later inputs where `constant` is set."""

    def __init__(self, op, inputs, outputs=1, opset=17, domain="com.microsoft", wants=None,
                 name="", **attributes):
        self.op, self.inputs, self.opset, self.domain = op, inputs, opset, domain
        self.wants = list(range(outputs)) if wants is None else wants
        self.attributes, self.name = attributes, f"{op}-{name}" if name else op

    def make(self, constant, shapes):
        feeds = {f"i{k}": v for k, v in enumerate(self.inputs) if v is not None}
        names = [f"i{k}" if v is not None else "" for k, v in enumerate(self.inputs)]
        outputs = [f"o{k}" if k in self.wants else "" for k in range(max(self.wants) + 1)]
        node = helper.make_node(self.op, names, outputs, domain=self.domain, **self.attributes)
        given = {k: v for k, v in feeds.items() if not constant or k == "i0"}
        held = {k: v for k, v in feeds.items() if k not in given}
        ports = {name: TensorProto.UNDEFINED for name in outputs if name}
        made = onnx_run.model([node], given, ports, self.opset, held, shapes, DOMAINS)
        del made.graph.output[:]
        made.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in outputs if n)
        return made, given


def floats():
    x = rand(2, 5, 12)
    yield Case("Gelu", [x])
    yield Case("QuickGelu", [x])
    yield Case("QuickGelu", [x], name="alpha", alpha=0.5)
    yield Case("FastGelu", [x])
    yield Case("FastGelu", [x, rand(12)], name="bias")
    yield Case("BiasGelu", [x, rand(12)])
    for kind, dtype in (("f32", F32), ("f16", F16)):
        y, gamma = x.astype(dtype), rand(12, seed=1, dtype=dtype)
        skip, beta, bias = rand(2, 5, 12, seed=3, dtype=dtype), gamma * 2, gamma - 1
        for op, more, last in (("SkipLayerNormalization", [beta], bias),
                               ("SkipSimplifiedLayerNormalization", [], bias)):
            yield Case(op, [y, skip, gamma, *more], name=kind)
            yield Case(op, [y, skip[:1], gamma, *more, last], name=f"{kind}-bias", wants=[0, 3],
                       epsilon=1e-3)
            if dtype == F32:
                yield Case(op, [y, skip[0], gamma, *more], name="2d", wants=[0, 3])
    yield Case("SkipLayerNormalization", [x, x[::-1], rand(12)], name="no beta")
    for opset in (7, 12, 16):
        yield Case("LayerNormalization", [x, rand(12), rand(12, seed=1)], opset=opset, domain="",
                   name=opset, axis=-1, epsilon=1e-4)
    yield Case("LayerNormalization", [x, rand(5, 12)], 3, 9, "", name="moments", axis=1)
    yield Case("LayerNormalization", [x.astype(F16), rand(12), rand(12, seed=1)], opset=12,
               domain="", name="f16-f32")
    yield Case("SimplifiedLayerNormalization", [x, rand(12)], domain="")
    yield Case("SimplifiedLayerNormalization", [x, rand(5, 12)], 2, 12, "", name="moments", axis=1,
               epsilon=1e-2)
    yield Case("SimplifiedLayerNormalization", [x.astype(F16), rand(12)], domain="", name="mixed")


def products():
    x, w, b = rand(2, 6, 9, 8), rand(8, 3, 3, 3) / 4, rand(8, seed=2)
    activations = [("Relu", None), ("Sigmoid", None), ("Tanh", None), ("LeakyRelu", [0.3]),
                   ("Clip", [-0.2, 0.7]), ("HardSigmoid", [0.3, 0.4])]
    for activation, params in activations:
        attributes = {"activation_params": params} if params else {}
        yield Case("FusedConv", [x, w, b], name=activation, activation=activation, group=2,
                   pads=[1, 1, 1, 1], **attributes)
    yield Case("FusedConv", [x, w, b, rand(2, 8, 9, 8)], name="sum", group=2, pads=[1, 1, 1, 1],
               activation="Relu")
    yield Case("FusedConv", [x, w, None, rand(2, 8, 4, 3)], name="sum alone", group=2,
               strides=[2, 2])
    a, m, c = rand(5, 7), rand(7, 4), rand(4)
    for activation, parts in (("Relu", {}), ("LeakyRelu", {"alpha": 0.2}), ("Tanh", {}),
                              ("Sigmoid", {}), ("Elu", {"alpha": 0.7}), ("Softplus", {}),
                              ("Softsign", {}), ("Selu", {"alpha": 1.5, "gamma": 1.1}),
                              ("HardSigmoid", {"alpha": 0.1, "beta": 0.6}),
                              ("ThresholdedRelu", {"alpha": 0.4})):
        attributes = {f"activation_{k}": v for k, v in parts.items()}
        yield Case("FusedGemm", [a, m, c], name=activation, activation=activation, alpha=0.5,
                   beta=2.0, **attributes)
    yield Case("FusedGemm", [a.T.copy(), m.T.copy()], name="turned", transA=1, transB=1,
               activation="Relu")
    for ta in (0, 1):
        for tb in (0, 1):
            a = rand(2, 3, 7, 5) if ta else rand(2, 3, 5, 7)
            b = rand(2, 3, 4, 7) if tb else rand(2, 3, 7, 4)
            yield Case("FusedMatMul", [a, b], name=f"{ta}{tb}", transA=ta, transB=tb, alpha=0.25)
            a = rand(7, 2, 3, 5) if ta else rand(5, 2, 3, 7)
            b = rand(4, 2, 3, 7) if tb else rand(7, 2, 3, 4)
            yield Case("FusedMatMul", [a, b], name=f"batch {ta}{tb}", transA=ta, transB=tb,
                       transBatchA=1, transBatchB=1)
    yield Case("FusedMatMul", [rand(5, 7), rand(7, 3)], name="plain")


def embeddings():
    ids = ints(0, 11, 2, 5, dtype=np.int32)
    segments = ints(0, 2, 2, 5, dtype=np.int32)
    tables = [rand(11, 8), rand(6, 8, seed=1), rand(2, 8, seed=2)]
    gamma, beta = rand(8, seed=3), rand(8, seed=4)
    mask = ints(0, 2, 2, 5, dtype=np.int32)
    places = ints(0, 6, 2, 5, dtype=np.int32)
    op = "EmbedLayerNormalization"
    yield Case(op, [ids, segments, *tables, gamma, beta], 2)
    yield Case(op, [ids, segments, *tables, gamma, beta, mask], 3, name="mask", epsilon=1e-3)
    yield Case(op, [ids, None, *tables[:2], None, gamma, beta, None, places], wants=[0, 2],
               name="places")


def quantized_embeddings():
    ids, segments, mask = (ints(0, n, 2, 5, dtype=np.int32) for n in (11, 2, 2))
    tables = [codes(shape, np.uint8) for shape in ((11, 8), (6, 8), (2, 8), (8,), (8,))]
    scales = [np.array(s, F32) for s in (0.02, 0.03, 0.01, 0.004, 0.007)]
    zeros = [np.array(z, np.uint8) for z in (100, 130, 128, 0, 90)]
    yield Case("QEmbedLayerNormalization", [ids, segments, *tables, mask, *scales, *zeros], 2)
    tables[2], scales[2], zeros[2] = None, None, None
    yield Case("QEmbedLayerNormalization", [ids, None, *tables, None, *scales, *zeros], 2,
               name="no segments", epsilon=1e-3)


def check(program, folder, case, compare, constants=(False, True), shapes=onnx_run.SHAPES[:2]):
    for constant in constants:
        want = onnx_run.run_onnxruntime(*case.make(constant, "known"))
        for told in shapes:
            made, given = case.make(constant, told)
            got = onnx_run.run(program, folder, made, given)
            for ours, theirs in zip(got, want, strict=True):
                assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
                compare(ours, theirs)


def near(ours, theirs):
    if ours.dtype.kind != "f":
        np.testing.assert_array_equal(ours, theirs)
        return
    eps = np.finfo(ours.dtype).eps
    np.testing.assert_allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=0,
                               atol=float(16 * eps * np.nanmax(np.abs(theirs))))




def codes(shape, dtype, seed=0):
    info = np.iinfo(dtype)
    rng = np.random.default_rng([seed, *shape])
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


FLOATS = [*floats(), *products(), *embeddings(), *quantized_embeddings()]


@pytest.mark.parametrize("case", FLOATS, ids=[case.name for case in FLOATS])
def test_floats(program, tmp_path, case):
    check(program, tmp_path, case, near)


# ---- quantized -----------------------------------------------------------------------------------


def quantized(case_, dtype, like=0):
    """Scales that are powers of two: nothing lies between two floats; and any others."""
    scales = (0.125, 0.25, 0.5, 1.0) if case_ == "exact" else (0.013, 0.031, 0.0571, 0.0237)
    zeros = (np.array(z, dtype) for z in ((3, 121, 9, 131) if dtype == np.uint8 else (3, -9, 7, 0)))
    return [[np.array(s, F32), z] for s, z in zip(scales, zeros)]


def linear(kind, dtype):
    (sa, za), (sb, zb), (sc, zc), _ = quantized(kind, dtype)
    a, b = codes((2, 6, 5, 7), dtype), codes((6, 1, 7), dtype, 1)
    label = f"{kind}-{np.dtype(dtype)}"
    yield Case("QLinearAdd", [a, sa, za, b, sb, zb, sc, zc], name=label)
    yield Case("QLinearAdd", [a, sa, za, a[:, :1], sb, zb, sc], name=f"{label} no zero")
    yield Case("QLinearMul", [a, sa, za, b, sb, zb, np.array(sc * 16, F32), zc], name=label)
    yield Case("QLinearConcat", [sc, zc, a, sa, za, a, sc, zc, a[:, :2], sb, zb], name=label,
               axis=1)
    yield Case("QLinearWhere", [ints(0, 2, 5, 7, dtype=bool), a, sa, za, b, sb, zb, sc, zc],
               name=label)
    yield Case("QLinearLeakyRelu", [a, sa, za, sb, zb], name=label, alpha=0.25)
    yield Case("QLinearSigmoid", [a, sa, za, np.array(1 / 128, F32), zb], name=label)
    low = np.array(0 if dtype == np.uint8 else -128, dtype)
    for opset, axis in ((13, -1), (13, 1), (12, 2), (12, 0)):
        yield Case("QLinearSoftmax", [a, np.array(sa / 4, F32), za, np.array(1 / 256, F32), low],
                   name=f"{label} {opset} {axis}", opset_=opset, axis=axis)
    whole = codes((2, 9, 2, 4), dtype)
    yield Case("QLinearGlobalAveragePool", [whole, sa, za, sb, zb], name=label, channels_last=0)
    last = np.ascontiguousarray(np.moveaxis(a, 1, -1))
    yield Case("QLinearGlobalAveragePool", [last, sa, za, sb, zb], name=f"{label} last",
               channels_last=1)
    for count in (0, 1):
        yield Case("QLinearAveragePool", [a, sa, za, sb, zb], name=f"{label} {count}",
                   kernel_shape=[2, 4], strides=[2, 1], pads=[1, 0, 0, 2], count_include_pad=count)
    yield Case("NhwcMaxPool", [last], name=label, kernel_shape=[2, 3], strides=[1, 2],
               pads=[1, 1, 0, 1])


def quantized_products(kind):
    (sa, za), (sb, _), (sc, zc), _ = quantized(kind, np.uint8)
    many = np.array([sb, sb * 2, sb / 2, sb], F32)
    zb, zeros = np.array(5, np.int8), np.array([1, -3, 0, 7], np.int8)
    a, b = codes((5, 9), np.uint8), codes((9, 4), np.int8)
    sc, bias = np.array(sc * 64, F32), ints(-999, 999, 4, dtype=np.int32)
    yield Case("QGemm", [a, sa, za, b, sb, zb, bias, sc, zc], name=kind)
    yield Case("QGemm", [a, sa, za, b, sb, zb, None, sc, zc], name=f"{kind} alpha", alpha=0.5)
    yield Case("QGemm", [a, sa, za, b.T.copy(), many, zeros * 0, bias, sc, zc],
               name=f"{kind} columns", transB=1)
    yield Case("QGemm", [a.T.copy(), sa, za, b, many, zeros, bias], name=f"{kind} f32", transA=1)
    x, f = rand(2, 5, 9), rand(4)
    for scale, zero in ((sb, zb), (many, zeros)):
        label = f"{kind} {scale.ndim}"
        yield Case("DynamicQuantizeMatMul", [x, b, scale, zero, f], name=label)
        yield Case("MatMulIntegerToFloat", [a, b, sa, scale, za, zero, f], name=label)
    yield Case("DynamicQuantizeMatMul", [x, b, sb], name=f"{kind} short")
    yield Case("MatMulIntegerToFloat", [a, b, sa, sb], name=f"{kind} short")


LINEAR = [case for kind in ("exact", "any") for dtype in (np.uint8, np.int8)
          for case in linear(kind, dtype)]
LINEAR += [case for kind in ("exact", "any") for case in quantized_products(kind)]


def near_codes(most):
    def compare(ours, theirs):
        if ours.dtype.kind == "f":
            near(ours, theirs)
            return
        far = np.abs(ours.astype(int) - theirs.astype(int))
        assert far.max() <= most and (far > 0).mean() < 0.03, f"{(far > 0).sum()} of {far.size}"

    return compare


@pytest.mark.parametrize("case", LINEAR, ids=[case.name for case in LINEAR])
def test_quantized(program, tmp_path, case):
    """The same codes where all numbers are exact; else one lies between two now and then."""
    if "opset_" in case.attributes:
        case.attributes["opset"] = case.attributes.pop("opset_")
    exact = "-exact" in case.name and case.op not in ("QLinearSigmoid", "QLinearSoftmax")
    check(program, tmp_path, case, near_codes(0 if exact else 1))

"""One-operator ONNX files for bench/compare_operators.py: elementwise, along axes, moving.

CASES has by name, which says operator, type and what is special, a function that gives a model and
its inputs. Values are random but the same every time.
"""

import functools
import zlib

import numpy as np
from onnx import helper, numpy_helper

TYPES = {"f32": np.float32, "f16": np.float16, "f64": np.float64, "i64": np.int64,
         "i32": np.int32, "i8": np.int8, "u8": np.uint8, "bool": np.bool_}  # fmt: skip
IMAGE = (1, 64, 56, 56)
CASES = {}


@functools.cache
def values(kind, shape, low=-2.0, high=2.0):
    """Random numbers of a type: floats from low to high, integers from 1 to 49."""
    rng = np.random.default_rng(zlib.crc32(repr((kind, shape, low)).encode()))
    if kind == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if kind[0] in "iu":
        return rng.integers(1, 50, shape).astype(TYPES[kind])
    return rng.uniform(low, high, shape).astype(TYPES[kind])


def model(nodes, inputs, constants, outputs):
    ports = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for n, x in inputs.items()
    ]
    stored = [numpy_helper.from_array(np.ascontiguousarray(x), n) for n, x in constants.items()]
    results = [helper.make_tensor_value_info(n, t, None) for n, t in outputs]
    graph = helper.make_graph(nodes, "case", ports, results, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def one(op, inputs, constants=(), out=None, count=1, **attributes):
    """`inputs` and then `constants` (None: left out) are what the operator takes, in order. `out`
    is the type of the results, "f32 i64" of two; without: that of the first input."""
    arrays = [*inputs, *constants]
    names = ["" if x is None else f"x{i}" for i, x in enumerate(arrays)]
    kinds = [np.dtype(TYPES[k]) for k in out.split()] if out else [arrays[0].dtype] * count
    outputs = [(f"y{i}", helper.np_dtype_to_tensor_dtype(k)) for i, k in enumerate(kinds)]
    node = helper.make_node(op, names, [name for name, _ in outputs], **attributes)
    given = {n: x for n, x in zip(names, inputs)}
    stored = {n: x for n, x in zip(names[len(inputs):], constants) if x is not None}  # fmt: skip
    return model([node], given, stored, outputs), given


def case(title, op, *arguments, **attributes):
    CASES[title] = lambda: one(op, *arguments, **attributes)


class Net:
    """Nodes one after the other, from the input x on; the last one's output is y."""

    def __init__(self, shape, kind="f32"):
        self.kind, self.x, self.nodes, self.constants = kind, values(kind, shape), [], {}
        self.last, self.channels, self.rank = "x", shape[1], len(shape) - 2

    def constant(self, array):
        self.constants[f"c{len(self.constants)}"] = np.asarray(array)
        return f"c{len(self.constants) - 1}"

    def add(self, op, *inputs, **attributes):
        self.last = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [self.last], **attributes))
        return self

    def conv(self, out, kernel, act=None, source=None, op="Conv", pads=None, **attributes):
        kernel = [kernel] * self.rank if isinstance(kernel, int) else kernel
        group = attributes.get("group", 1)
        step = attributes.get("dilations", [1] * self.rank)
        each = (out, self.channels // group) if op == "Conv" else (self.channels, out // group)
        scale = (6 / (each[1] * np.prod(kernel))) ** 0.5  # numbers stay as large as they are
        weight = self.constant(values(self.kind, (*each, *kernel), -scale, scale))
        if pads is None:
            pads = [d * (k // 2) for k, d in zip(kernel, step)]
            pads += [d * (k - 1) - p for k, d, p in zip(kernel, step, pads)]
        bias = self.constant(values(self.kind, (out,), -0.1, 0.1))
        self.add(op, source or self.last, weight, bias, kernel_shape=kernel, pads=pads,
                 **attributes)  # fmt: skip
        self.channels = out
        return self.act(act)

    def act(self, act):
        x = self.last
        if act == "SiLU":
            self.add("Sigmoid", x).add("Mul", x, self.last)
        elif act == "PRelu":
            shape = (self.channels, *[1] * self.rank)
            self.add("PRelu", x, self.constant(values(self.kind, shape, 0, 0.3)))
        elif act:
            self.add(act, x)
        return self

    def squeeze_excite(self):
        x, channels = self.last, self.channels
        self.add("GlobalAveragePool", x).conv(channels // 4, 1, "Relu")
        return self.conv(channels, 1, "HardSigmoid").add("Mul", x, self.last)

    def made(self):
        self.nodes[-1].output[0] = "y"
        kind = helper.np_dtype_to_tensor_dtype(self.x.dtype)
        return model(self.nodes, {"x": self.x}, self.constants, [("y", kind)]), {"x": self.x}


# ---- elementwise --------------------------------------------------------------------------------

PLAIN = ("Relu LeakyRelu Sigmoid Tanh Exp Log Sqrt Abs Neg Erf Gelu Elu Selu Celu Softplus "
         "Softsign HardSigmoid HardSwish Mish ThresholdedRelu Floor Ceil Round Sign Reciprocal "
         "Sin Cos Tan Atan Asinh Sinh").split()  # fmt: skip
POSITIVE = ("Log", "Sqrt", "Reciprocal")
for op in PLAIN:
    low = 0.1 if op in POSITIVE else -2.0
    case(f"{op} f32", op, [values("f32", IMAGE, low)])
for op in "Relu Sigmoid Tanh Exp Sqrt Abs Neg HardSwish Erf Gelu LeakyRelu".split():
    case(f"{op} f16", op, [values("f16", IMAGE, 0.1 if op == "Sqrt" else -2.0)])
for op in "Relu Sigmoid Exp Sqrt Abs Neg".split():
    case(f"{op} f64", op, [values("f64", IMAGE, 0.1)])
for op in "Abs Neg Sign".split():
    case(f"{op} i64", op, [values("i64", IMAGE)])
case("Abs i32", "Abs", [values("i32", IMAGE)])
case("Not bool", "Not", [values("bool", IMAGE)])
case("IsNaN f32", "IsNaN", [values("f32", IMAGE)], out="bool")
for kind in "f32 f16 f64 i64 i8".split():
    bounds = [np.array(-1 if kind[0] == "f" else 5, TYPES[kind]), np.array(30, TYPES[kind])]
    case(f"Clip {kind}", "Clip", [values(kind, IMAGE)], bounds)

for kind in "f32 f16 f64 i64 i32".split():
    for op in "Add Sub Mul Div".split():
        case(f"{op} {kind} same shape", op, [values(kind, IMAGE), values(kind, IMAGE, 0.5)])
    case(f"Add {kind} number", "Add", [values(kind, IMAGE)], [values(kind, (1,))])
    case(f"Max {kind}", "Max", [values(kind, IMAGE), values(kind, IMAGE, 0.5)])
    case(f"Min {kind}", "Min", [values(kind, IMAGE), values(kind, IMAGE, 0.5)])
for kind in "f32 f16 i64".split():
    case(f"Add {kind} channel", "Add", [values(kind, IMAGE), values(kind, (64, 1, 1))])
    case(f"Mul {kind} row", "Mul", [values(kind, (512, 768)), values(kind, (768,))])
    case(f"Mul {kind} column", "Mul", [values(kind, (512, 768)), values(kind, (512, 1))])
    case(f"Sub {kind} outer", "Sub", [values(kind, (512, 1)), values(kind, (1, 512))])
case("Add f32 short rows", "Add", [values("f32", (4096, 32, 4)), values("f32", (4096, 1, 4))])
case("PRelu f32 channel", "PRelu", [values("f32", IMAGE)], [values("f32", (64, 1, 1))])
case("Pow f32 2", "Pow", [values("f32", IMAGE)], [np.array(2, "f4")])
case("Pow f32 0.5", "Pow", [values("f32", IMAGE, 0.1)], [np.array(0.5, "f4")])
case("Pow f32 1.7", "Pow", [values("f32", IMAGE, 0.1)], [np.array(1.7, "f4")])
case("Pow f32 each", "Pow", [values("f32", IMAGE, 0.1), values("f32", IMAGE, 0.5)])
case("Pow i64 2", "Pow", [values("i64", IMAGE)], [np.array(2, "i8")])
case("Mod i64", "Mod", [values("i64", IMAGE), values("i64", IMAGE[::-1]).reshape(IMAGE)])
case("Mod f32", "Mod", [values("f32", IMAGE), values("f32", IMAGE, 0.5)], fmod=1)
for kind in "f32 f16 i64 i32".split():
    for op in "Less Equal GreaterOrEqual".split():
        case(f"{op} {kind}", op, [values(kind, IMAGE), values(kind, IMAGE, 0.5)], out="bool")
    case(f"Less {kind} number", "Less", [values(kind, IMAGE)], [values(kind, (1,))], out="bool")
for op in "And Or Xor".split():
    case(f"{op} bool", op, [values("bool", IMAGE), values("bool", IMAGE[::-1]).reshape(IMAGE)])
case("BitwiseAnd i32", "BitwiseAnd", [values("i32", IMAGE), values("i32", IMAGE)])
for kind in "f32 f16 i64 u8".split():
    case(f"Where {kind}", "Where",
         [values("bool", IMAGE), values(kind, IMAGE), values(kind, IMAGE, 0.5)],
         out=kind)  # fmt: skip
case("Where f32 number", "Where", [values("bool", IMAGE), values("f32", IMAGE)],
     [np.array(-1e4, "f4")], out="f32")  # fmt: skip
case("Where f32 row condition", "Where",
     [values("bool", (1, 1, 128, 128)), values("f32", (1, 12, 128, 128))],
     [np.array(-1e4, "f4")], out="f32")  # fmt: skip
case("Sum f32 three", "Sum", [values("f32", IMAGE, low) for low in (-1, 0, 1)])

for before in "f32 f16 f64 i64 i32 i8 u8 bool".split():
    for after in "f32 f16 f64 i64 i32 i8 u8 bool".split():
        if before != after:
            case(f"Cast {before} to {after}", "Cast", [values(before, IMAGE, 0.0)], out=after,
                 to=helper.np_dtype_to_tensor_dtype(np.dtype(TYPES[after])))  # fmt: skip

# ---- along axes ---------------------------------------------------------------------------------

for op in "Sum Mean Max Min Prod L1 L2 SumSquare LogSumExp".split():
    case(f"Reduce{op} f32 last", f"Reduce{op}", [values("f32", (512, 768))],
         [np.array([1])], keepdims=0)  # fmt: skip
for op in "Sum Mean Max".split():
    case(f"Reduce{op} f32 first", f"Reduce{op}", [values("f32", (512, 768))], [np.array([0])])
    case(f"Reduce{op} f32 middle", f"Reduce{op}", [values("f32", (16, 128, 96))], [np.array([1])])
    case(f"Reduce{op} f32 image", f"Reduce{op}", [values("f32", IMAGE)], [np.array([2, 3])])
    case(f"Reduce{op} f32 ends", f"Reduce{op}", [values("f32", (64, 64, 64))], [np.array([0, 2])])
    case(f"Reduce{op} f32 all", f"Reduce{op}", [values("f32", IMAGE)], keepdims=0)
    case(f"Reduce{op} f32 short", f"Reduce{op}", [values("f32", (16384, 8))], [np.array([1])])
    for kind in "f16 f64 i64 i32".split():
        case(f"Reduce{op} {kind} last", f"Reduce{op}", [values(kind, (512, 768))], [np.array([1])])
    case(f"Reduce{op} i64 first", f"Reduce{op}", [values("i64", (512, 768))], [np.array([0])])
for op in "ArgMax ArgMin".split():
    case(f"{op} f32 last", op, [values("f32", (256, 1000))], out="i64", axis=1)
    case(f"{op} f32 channel", op, [values("f32", (1, 21, 128, 128))], out="i64", axis=1)
case("ArgMax f16 last", "ArgMax", [values("f16", (256, 1000))], out="i64", axis=1)
case("ArgMax i64 last", "ArgMax", [values("i64", (256, 1000))], out="i64", axis=1)
for kind in "f32 f64 i64 i32".split():
    case(f"CumSum {kind} last", "CumSum", [values(kind, (256, 1000))], [np.array(1)])
    case(f"CumSum {kind} first", "CumSum", [values(kind, (256, 1000))], [np.array(0)])
case("TopK f32 5 of 1000", "TopK", [values("f32", (256, 1000))], [np.array([5])], out="f32 i64")
case("TopK f32 100 of 8400", "TopK", [values("f32", (8, 8400))], [np.array([100])], out="f32 i64")
case("TopK i64 5 of 1000", "TopK", [values("i64", (256, 1000))], [np.array([5])], out="i64 i64")
for kind in "f32 f16 f64".split():
    case(f"Softmax {kind} last", "Softmax", [values(kind, (12, 128, 128))])
    case(f"LayerNormalization {kind}", "LayerNormalization", [values(kind, (512, 768))],
         [values(kind, (768,), 0.5), values(kind, (768,), 1.0)])  # fmt: skip
case("Softmax f32 channel", "Softmax", [values("f32", (1, 21, 128, 128))], axis=1)
case("Softmax f32 short", "Softmax", [values("f32", (16384, 4))])
case("LogSoftmax f32 last", "LogSoftmax", [values("f32", (256, 1000))])
case("InstanceNormalization f32", "InstanceNormalization", [values("f32", IMAGE)],
     [values("f32", (64,), 0.5), values("f32", (64,), 1.0)])  # fmt: skip
case("GroupNormalization f32", "GroupNormalization", [values("f32", IMAGE)],
     [values("f32", (8,), 0.5), values("f32", (8,), 1.0)], num_groups=8)  # fmt: skip
case("LpNormalization f32", "LpNormalization", [values("f32", (512, 768))])
case("LRN f32", "LRN", [values("f32", IMAGE)], size=5)

# ---- moving -------------------------------------------------------------------------------------

for kind in "f32 f16 i64 u8".split():
    for name, shape, order in [
        ("matrix", (512, 768), (1, 0)), ("to NHWC", IMAGE, (0, 2, 3, 1)),
        ("to NCHW", (1, 56, 56, 64), (0, 3, 1, 2)), ("heads", (1, 128, 12, 64), (0, 2, 1, 3)),
        ("keys", (1, 128, 12, 64), (0, 2, 3, 1)), ("reversed", (32, 48, 64), (2, 1, 0)),
    ]:  # fmt: skip
        case(f"Transpose {kind} {name}", "Transpose", [values(kind, shape)], perm=order)
for kind in "f32 f16 i64 u8".split():
    case(f"Concat {kind} channel", "Concat", [values(kind, IMAGE), values(kind, (1, 32, 56, 56))],
         axis=1)  # fmt: skip
    case(f"Concat {kind} last", "Concat", [values(kind, (4096, 48)), values(kind, (4096, 16))],
         axis=1)  # fmt: skip
    case(f"Slice {kind} rows", "Slice", [values(kind, (512, 768))],
         [np.array([100, 0]), np.array([400, 768])])  # fmt: skip
    case(f"Slice {kind} columns", "Slice", [values(kind, (512, 768))],
         [np.array([0, 128]), np.array([512, 512])])  # fmt: skip
    case(f"Slice {kind} step 2", "Slice", [values(kind, IMAGE)],
         [np.array([0, 0]), np.array([56, 56]), np.array([2, 3]), np.array([2, 2])])  # fmt: skip
    case(f"Pad {kind} constant", "Pad", [values(kind, IMAGE)],
         [np.array([0, 0, 1, 1, 0, 0, 1, 1]), np.zeros((), TYPES[kind])])  # fmt: skip
    case(f"Gather {kind} rows", "Gather", [values(kind, (3000, 256))],
         [values("i64", (512,)) * 57])  # fmt: skip
    case(f"Gather {kind} columns", "Gather", [values(kind, (512, 768))],
         [values("i64", (256,))], axis=1)  # fmt: skip
    case(f"GatherElements {kind} last", "GatherElements", [values(kind, (512, 768))],
         [values("i64", (512, 512))], axis=1)  # fmt: skip
    case(f"GatherElements {kind} first", "GatherElements", [values(kind, (512, 768))],
         [values("i64", (256, 768))], axis=0)  # fmt: skip
    case(f"Expand {kind} rows", "Expand", [values(kind, (1, 768))], [np.array([512, 768])])
    case(f"Expand {kind} columns", "Expand", [values(kind, (512, 1))], [np.array([512, 768])])
    case(f"Expand {kind} middle", "Expand", [values(kind, (64, 1, 64))], [np.array([64, 32, 64])])
    case(f"Tile {kind}", "Tile", [values(kind, (64, 96))], [np.array([4, 8])])
    case(f"Resize {kind} nearest 2", "Resize", [values(kind, IMAGE)],
         [None, np.array([1, 1, 2, 2], "f4")], mode="nearest")  # fmt: skip
case("Resize f32 nearest floor 2", "Resize", [values("f32", IMAGE)],
     [None, np.array([1, 1, 2, 2], "f4")], mode="nearest", nearest_mode="floor",
     coordinate_transformation_mode="asymmetric")  # fmt: skip
case("Resize f32 nearest 1.5", "Resize", [values("f32", IMAGE)],
     [None, np.array([1, 1, 1.5, 1.5], "f4")], mode="nearest")  # fmt: skip
case("Resize f32 linear 2", "Resize", [values("f32", IMAGE)],
     [None, np.array([1, 1, 2, 2], "f4")], mode="linear")  # fmt: skip
case("Resize f32 linear to 80x80", "Resize", [values("f32", IMAGE)],
     [None, None, np.array([1, 64, 80, 80])], mode="linear")  # fmt: skip
case("Resize f32 cubic 2", "Resize", [values("f32", (1, 3, 112, 112))],
     [None, np.array([1, 1, 2, 2], "f4")], mode="cubic")  # fmt: skip
case("Pad f32 reflect", "Pad", [values("f32", IMAGE)], [np.array([0, 0, 1, 1, 0, 0, 1, 1])],
     mode="reflect")  # fmt: skip
case("Split f32 channel", "Split", [values("f32", IMAGE)], count=2, axis=1, num_outputs=2)
case("Split f32 last", "Split", [values("f32", (512, 768))], count=3, axis=1, num_outputs=3)
case("GatherND f32", "GatherND", [values("f32", (64, 64, 32))], [values("i64", (4096, 2))])
case("ScatterND f32", "ScatterND", [values("f32", (3000, 256))],
     [values("i64", (512, 1)) * 57, values("f32", (512, 256))])  # fmt: skip
case("ScatterElements f32", "ScatterElements", [values("f32", (512, 768))],
     [values("i64", (256, 768)), values("f32", (256, 768))])  # fmt: skip
case("OneHot f32", "OneHot", [values("i64", (4096,))], [np.array(64), np.array([0, 1], "f4")],
     out="f32")  # fmt: skip
case("DepthToSpace f32", "DepthToSpace", [values("f32", IMAGE)], blocksize=2)
case("SpaceToDepth f32", "SpaceToDepth", [values("f32", IMAGE)], blocksize=2)
case("NonZero bool", "NonZero", [values("bool", (256, 256))], out="i64")
case("Trilu f32", "Trilu", [values("f32", (12, 128, 128))])
case("Unique i64", "Unique", [values("i64", (20000,))])
case("GridSample f32", "GridSample", [values("f32", (1, 32, 64, 64)),
     values("f32", (1, 64, 64, 2), -1, 1)], mode="linear")  # fmt: skip
case("QuantizeLinear f32", "QuantizeLinear", [values("f32", IMAGE)],
     [np.array(0.02, "f4"), np.array(128, "u1")], out="u8")  # fmt: skip
case("DequantizeLinear u8", "DequantizeLinear", [values("u8", IMAGE)],
     [np.array(0.02, "f4"), np.array(128, "u1")], out="f32")  # fmt: skip

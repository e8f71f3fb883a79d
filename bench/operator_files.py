"""More cases for bench/compare_operators.py: products, windows, recurrent layers, whole files."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper
from operator_cases import CASES, IMAGE, Net, case, model, values

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "onnx"

# ---- products -----------------------------------------------------------------------------------

for kind in "f32 f16 f64 i32".split():
    case(f"MatMul {kind} square", "MatMul",
         [values(kind, (256, 256)), values(kind, (256, 256), -1)])  # fmt: skip
    case(f"MatMul {kind} weight", "MatMul", [values(kind, (128, 256))], [values(kind, (256, 512))])
for kind in "f32 f16 f64".split():
    case(f"MatMul {kind} row", "MatMul", [values(kind, (1, 512))], [values(kind, (512, 512))])
    case(f"MatMul {kind} heads", "MatMul",
         [values(kind, (12, 128, 64)), values(kind, (12, 64, 128))])  # fmt: skip
    case(f"Gemm {kind}", "Gemm", [values(kind, (64, 256))],
         [values(kind, (512, 256)), values(kind, (512,))], transB=1)  # fmt: skip
for equation, shapes in [
    ("bij,bjk->bik", [(8, 64, 64), (8, 64, 96)]), ("bhid,bhjd->bhij", [(1, 12, 128, 64)] * 2),
    ("ij->ji", [(512, 768)]), ("bij->bi", [(16, 128, 96)]), ("i,j->ij", [(512,), (768,)]),
]:  # fmt: skip
    case(f"Einsum f32 {equation}", "Einsum", [values("f32", s, i) for i, s in enumerate(shapes)],
         equation=equation)  # fmt: skip

# ---- windows ------------------------------------------------------------------------------------

for title, image, weight, attributes in [
    ("3x3", IMAGE, (64, 64, 3, 3), {"pads": [1] * 4}),
    ("3x3 stride 2", IMAGE, (128, 64, 3, 3), {"pads": [1] * 4, "strides": [2, 2]}),
    ("1x1", IMAGE, (128, 64, 1, 1), {}),
    ("7x7 of RGB", (1, 3, 112, 112), (32, 3, 7, 7), {"pads": [3] * 4, "strides": [2, 2]}),
    ("depthwise 3x3", IMAGE, (64, 1, 3, 3), {"pads": [1] * 4, "group": 64}),
    ("depthwise 5x5", IMAGE, (64, 1, 5, 5), {"pads": [2] * 4, "group": 64}),
    ("groups of 8", IMAGE, (64, 8, 3, 3), {"pads": [1] * 4, "group": 8}),
    ("dilated", IMAGE, (64, 64, 3, 3), {"pads": [2] * 4, "dilations": [2, 2]}),
    ("1-D", (1, 64, 1024), (64, 64, 5), {"pads": [2, 2]}),
    ("1-D depthwise", (1, 64, 1024), (64, 1, 5), {"pads": [2, 2], "group": 64}),
    ("3-D", (1, 8, 16, 28, 28), (16, 8, 3, 3, 3), {"pads": [1] * 6}),
]:
    bias = values("f32", (weight[0],))
    case(f"Conv f32 {title}", "Conv", [values("f32", image)], [values("f32", weight), bias],
         **attributes)  # fmt: skip
case("Conv f16 3x3", "Conv", [values("f16", IMAGE)], [values("f16", (64, 64, 3, 3), -0.1, 0.1)],
     pads=[1] * 4)  # fmt: skip
case("Conv f16 1x1", "Conv", [values("f16", IMAGE)], [values("f16", (128, 64, 1, 1), -0.1, 0.1)])
case("ConvTranspose f32 4x4 stride 2", "ConvTranspose", [values("f32", (1, 64, 28, 28))],
     [values("f32", (64, 32, 4, 4))], pads=[1] * 4, strides=[2, 2])  # fmt: skip
case("ConvTranspose f32 2x2 stride 2", "ConvTranspose", [values("f32", (1, 64, 28, 28))],
     [values("f32", (64, 32, 2, 2))], strides=[2, 2])  # fmt: skip
for op in "MaxPool AveragePool".split():
    case(f"{op} f32 2x2", op, [values("f32", IMAGE)], kernel_shape=[2, 2], strides=[2, 2])
    case(f"{op} f32 3x3", op, [values("f32", IMAGE)], kernel_shape=[3, 3], pads=[1] * 4)
case("MaxPool f16 2x2", "MaxPool", [values("f16", IMAGE)], kernel_shape=[2, 2], strides=[2, 2])
case("MaxPool f32 1-D", "MaxPool", [values("f32", (1, 64, 1024))], kernel_shape=[3], strides=[2])
case("GlobalAveragePool f32", "GlobalAveragePool", [values("f32", IMAGE)])
case("BatchNormalization f32", "BatchNormalization", [values("f32", IMAGE)],
     [values("f32", (64,), low) for low in (0.5, 0.6, 0.7, 0.8)])  # fmt: skip

# ---- recurrent ----------------------------------------------------------------------------------

for op, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
    for title, batch, inputs, hidden, more in [
        ("", 1, 64, 128, {}), (" of 8", 8, 64, 128, {}),
        (" both ways", 1, 64, 128, {"direction": "bidirectional"}),
        *([(" linear before reset", 1, 64, 128, {"linear_before_reset": 1}),
           (" linear before reset of 8", 8, 64, 128, {"linear_before_reset": 1})]
          if op == "GRU" else []),
    ]:  # fmt: skip
        dirs = 2 if more.get("direction") else 1
        case(f"{op} f32{title}", op, [values("f32", (32, batch, inputs))],
             [values("f32", (dirs, gates * hidden, inputs), -0.1, 0.1),
              values("f32", (dirs, gates * hidden, hidden), -0.1, 0.1),
              values("f32", (dirs, 2 * gates * hidden), -0.1, 0.1)],
             hidden_size=hidden, **more)  # fmt: skip

# ---- whole files --------------------------------------------------------------------------------


def squeezenet(kind):
    """SqueezeNet 1.1 on 224x224, random weights."""
    net = Net((1, 3, 224, 224), kind).conv(64, 3, "Relu", pads=[0] * 4, strides=[2, 2])
    for squeeze, expand in [(0, 0), (16, 64), (16, 64), (0, 0), (32, 128), (32, 128), (0, 0),
                            (48, 192), (48, 192), (64, 256), (64, 256)]:  # fmt: skip
        if not squeeze:
            net.add("MaxPool", net.last, kernel_shape=[3, 3], strides=[2, 2])
            continue
        start, parts = net.conv(squeeze, 1, "Relu").last, []
        for kernel in (1, 3):
            net.channels = squeeze
            parts.append(net.conv(expand, kernel, "Relu", start).last)
        net.add("Concat", *parts, axis=1)
        net.channels = 2 * expand
    net.conv(1000, 1, "Relu")
    for op in ("GlobalAveragePool", "Flatten", "Softmax"):
        net.add(op, net.last)
    return net.made()


def gru_net():
    """A line of features by two GRUs, as torch exports them, and a head."""
    size = 128
    given = {"x": values("f32", (64, 1, 40))}
    nodes, stored, last, width = [], {}, "x", 40
    for i in range(2):
        for part, shape in (("w", (1, 3 * size, width)), ("r", (1, 3 * size, size)),
                            ("b", (1, 6 * size))):  # fmt: skip
            stored[f"{part}{i}"] = values("f32", shape, -0.1, 0.1)
        names = [last, f"w{i}", f"r{i}", f"b{i}"]
        nodes.append(helper.make_node("GRU", names, [f"y{i}"], hidden_size=size,
                                      linear_before_reset=1))  # fmt: skip
        nodes.append(helper.make_node("Squeeze", [f"y{i}", "axis"], [f"s{i}"]))
        last, width = f"s{i}", size
    stored |= {"axis": np.array([1]), "head": values("f32", (size, 10), -0.1, 0.1)}
    nodes += [helper.make_node("MatMul", [last, "head"], ["m"]),
              helper.make_node("Sigmoid", ["m"], ["out"])]  # fmt: skip
    return model(nodes, given, stored, [("out", TensorProto.FLOAT)]), given


def keyword_net():
    """A few convolutions on 40x101, in fp16 between casts, as keyword spotters are stored."""
    net = Net((1, 1, 40, 101), "f16").conv(32, 3, "Relu")
    for _ in range(3):
        before = net.last
        net.conv(32, 3, "Relu").conv(32, 3, "Relu").add("Add", net.last, before)
    return net.add("GlobalAveragePool", net.last).add("Flatten", net.last).made()


def shipped(name, **inputs):
    path = DATA / f"{name}.onnx"
    if path.exists():
        CASES[f"file {name}"] = lambda: (onnx.load(path), inputs)


CASES["file SqueezeNet f32"] = lambda: squeezenet("f32")
CASES["file SqueezeNet f16"] = lambda: squeezenet("f16")
CASES["file convolutions f16"] = keyword_net
CASES["file GRU net"] = gru_net
shipped("silero_vad_16k_op15", input=values("f32", (1, 576), -0.1, 0.1),
        state=np.zeros((2, 1, 128), "f4"), sr=np.array(16000))  # fmt: skip
shipped("mnist_zoo", Input3=values("f32", (1, 1, 28, 28), 0.0))
shipped("mobilenet_v2_imagenet", input=values("f32", (1, 3, 224, 224)))
shipped("ulfd_rfb_320", input=values("f32", (1, 3, 240, 320), -1.0, 1.0))
shipped("yunet_n_dynamic", input=values("f32", (1, 3, 320, 320), 0.0, 255.0))

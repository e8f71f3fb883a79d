"""More cases for bench/compare_operators.py: convolutions with what is fused into them, their
transposes, poolings, and small networks of the kinds that people run."""

from operator_cases import CASES, Net, case, values

BIG = (1, 96, 56, 56)
ACTIVATIONS = "Relu LeakyRelu Sigmoid HardSwish Tanh PRelu SiLU".split()


def conv(title, shape, out, kernel, act=None, **attributes):
    CASES[title] = lambda: Net(shape).conv(out, kernel, act, **attributes).made()


for act in ACTIVATIONS:
    conv(f"Conv depthwise 3x3 and {act}", BIG, 96, 3, act, group=96)
    conv(f"Conv 1x1 and {act}", (1, 64, 56, 56), 64, 1, act)
CASES["Conv depthwise 3x3 and a sum"] = lambda: (
    (net := Net(BIG)).conv(96, 3, group=96).add("Add", net.last, "x").made()
)
conv("Conv depthwise 3x3 to twice the channels", BIG, 192, 3, group=96)
for size in (5, 7):
    conv(f"Conv depthwise {size}x{size}, 96 channels", BIG, 96, size, group=96)
conv("Conv depthwise 3x3 dilated", (1, 192, 33, 33), 192, 3, "Relu", group=192, dilations=[4, 4])
for taps in (3, 20, 31):
    conv(f"Conv depthwise 1-D {taps} taps", (1, 256, 1000), 256, taps, group=256)
conv("Conv STFT 400 taps", (1, 1, 16000), 402, 400, strides=[160], pads=[0, 0])
conv("Conv STFT 1024 taps", (1, 1, 48000), 1026, 1024, strides=[256], pads=[0, 0])
conv("Conv 1-D of one channel to 512", (1, 1, 16000), 512, 10, strides=[5], pads=[0, 0])
for width in (2, 4, 16):
    conv(f"Conv groups of {width}", (1, 128, 28, 28), 128, 3, group=128 // width)
for out in (1, 8, 32):
    conv(f"Conv 3x3 of one channel to {out}", (1, 1, 256, 256), out, 3)
for size in ((3, 1), (9, 1)):  # lines, written as images of one column
    conv(f"Conv {size[0]}x1 on width 1", (1, 64, 1000, 1), 64, list(size))
conv("Conv 9x1 on width 1 of one channel to 32", (1, 1, 4000, 1), 32, [9, 1])
conv("Conv 1x1 on width 1", (1, 64, 1000, 1), 64, 1)
conv("Conv depthwise 9x1 on width 1", (1, 64, 1000, 1), 64, [9, 1], group=64)
conv("Conv 5x5 of two channels", (1, 2, 128, 128), 16, 5)

LINE = {"op": "ConvTranspose", "pads": [4, 4], "strides": [8]}
conv("ConvTranspose 1-D k16 s8", (1, 256, 100), 128, 16, **LINE)
conv("ConvTranspose 1-D to one channel (ISTFT)", (1, 402, 100), 1, 400, op="ConvTranspose",
     pads=[0, 0], strides=[160])  # fmt: skip
TWICE = {"op": "ConvTranspose", "pads": [1] * 4, "strides": [2, 2]}
conv("ConvTranspose 10 to 1 channels", (1, 10, 64, 64), 1, 4, **TWICE)
conv("ConvTranspose depthwise", (1, 64, 28, 28), 64, 4, group=64, **TWICE)

for kernel in (5, 9, 13):
    case(f"MaxPool {kernel}x{kernel}", "MaxPool", [values("f32", (1, 128, 20, 20))],
         kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)  # fmt: skip
case("MaxPool 1-D k8 s4", "MaxPool", [values("f32", (1, 128, 4000))], kernel_shape=[8], strides=[4])
case("MaxPool 3-D", "MaxPool", [values("f32", (1, 16, 16, 56, 56))], kernel_shape=[2] * 3,
     strides=[2] * 3)  # fmt: skip
case("AveragePool 15x15", "AveragePool", [values("f32", (1, 64, 56, 56))], kernel_shape=[15] * 2,
     pads=[7] * 4)  # fmt: skip
case("GlobalMaxPool", "GlobalMaxPool", [values("f32", (1, 512, 14, 14))])


def mobilenet_v3():
    """Depthwise 3x3 and 5x5, HardSwish, squeeze and excite."""
    net = Net((1, 3, 112, 112)).conv(16, 3, "HardSwish", strides=[2, 2])
    for kernel, expand, out, stride in [
        (3, 64, 24, 2), (3, 72, 24, 1), (5, 96, 40, 2), (5, 240, 40, 1), (5, 240, 40, 1)
    ]:  # fmt: skip
        net.conv(expand, 1, "HardSwish")
        net.conv(expand, kernel, "HardSwish", group=expand, strides=[stride] * 2).squeeze_excite()
        net.conv(out, 1)
    return net.made()


def nano_detector():
    """Depthwise 5x5 with LeakyReLU, as light detectors have them."""
    net = Net((1, 3, 160, 160)).conv(24, 3, "LeakyRelu", strides=[2, 2])
    for out, stride in [(58, 2), (58, 1), (116, 2), (116, 1), (116, 1)]:
        net.conv(net.channels, 5, "LeakyRelu", group=net.channels, strides=[stride] * 2)
        net.conv(out, 1, "LeakyRelu")
    return net.made()


def dilated_mobilenet_v2():
    net = Net((1, 3, 129, 129)).conv(32, 3, "Relu", strides=[2, 2])
    for expand, out, stride, step in [
        (96, 24, 2, 1), (144, 32, 2, 1), (192, 32, 1, 1), (192, 64, 1, 2), (384, 64, 1, 4)
    ]:  # fmt: skip
        net.conv(expand, 1, "Relu")
        net.conv(expand, 3, "Relu", group=expand, strides=[stride] * 2, dilations=[step] * 2)
        net.conv(out, 1)
    return net.made()


def pyramid_pooling():
    """SiLU and maximum pooling by 5, 9 and 13."""
    net = Net((1, 3, 160, 160)).conv(16, 3, "SiLU", strides=[2, 2])
    for out in (32, 64, 96):
        net.conv(net.channels, 3, "SiLU", group=net.channels, strides=[2, 2]).conv(out, 1, "SiLU")
    x, pooled = net.last, []
    for kernel in (5, 9, 13):
        net.add("MaxPool", x, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4)
        pooled.append(net.last)
    net.add("Concat", x, *pooled, axis=1)
    net.channels *= 4
    return net.conv(96, 1, "SiLU").made()


for network in (mobilenet_v3, nano_detector, dilated_mobilenet_v2, pyramid_pooling):
    CASES[f"net {network.__name__.replace('_', ' ')}"] = network

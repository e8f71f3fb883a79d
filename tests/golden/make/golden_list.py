"""Which cases make_golden.py makes: (name, operator, attributes, inputs).

An input is (kind, mode, shape); kind "input" is given at run time, "const" is a constant of the
graph. With `batch`, dimension 0 of every run-time input is a batch, and each item must get the same
bits alone.
"""

INF = float("inf")
NONE = ("clamp", -INF, INF)
RELU = ("clamp", 0.0, INF)
RELU6 = ("clamp", 0.0, 6.0)
LEAKY = ("leaky_relu", 0.25, 0.0)
SIGMOID = ("sigmoid", 0.0, 0.0)

GEMM, WINOGRAD, DIRECT = "indirect-gemm", "winograd-4x4-3x3", "direct"
FEW = "taps-as-columns"


def run(*shape, mode="u"):
    return ("input", mode, shape)


def const(*shape, mode="u"):
    return ("const", mode, shape)


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def conv_attrs(x, kernel, stride, pad, dilation, groups, act, **more):
    """Of convolutions of both directions, in the order in which cases show them."""
    return {
        "kernel": kernel,
        "stride": pair(stride),
        "pad": (pad,) * 4 if isinstance(pad, int) else pad,
        "dilation": pair(dilation),
        **more,
        "groups": groups,
        "act": act,
        "batch": x[0] > 1,
    }


def conv(
    name,
    x,
    out,
    kernel,
    stride=1,
    pad=0,
    dilation=1,
    groups=1,
    act=NONE,
    bias=True,
    residual=None,
    algorithm=GEMM,
    mode="u",
    weight_mode="u",
):
    """residual: None, or the spatial size of the output, which the added image must have."""
    kernel = pair(kernel)
    inputs = [
        run(*x, mode=mode),
        const(out, x[1] // groups, *kernel, mode=weight_mode),
        const(out) if bias else None,
    ]
    if residual:
        inputs.append(run(x[0], out, *residual))
    attrs = conv_attrs(x, kernel, stride, pad, dilation, groups, act)
    return (name, "conv2d", {**attrs, "algorithm": algorithm}, inputs)


def transposed(
    name,
    x,
    out,
    kernel,
    stride=1,
    pad=0,
    out_pad=0,
    dilation=1,
    groups=1,
    act=NONE,
    bias=True,
    residual=None,
):
    kernel = pair(kernel)
    inputs = [run(*x), const(x[1], out // groups, *kernel), const(out) if bias else None]
    if residual:
        inputs.append(run(x[0], out, *residual))
    more = {"out_pad": pair(out_pad)}
    attrs = conv_attrs(x, kernel, stride, pad, dilation, groups, act, **more)
    return (name, "conv_transpose2d", attrs, inputs)


def convolutions():
    for k in range(1, 8):
        yield conv(f"conv_k{k}", (2, 3, 9, 8), 5, k, pad=k // 2)
        yield conv(f"conv_k{k}x{8 - k}", (2, 4, 10, 11), 3, (k, 8 - k), pad=(1, 2, 3, 0))
        yield conv(f"conv_k{k}_no_pad", (1, 2, 7, 9), 9, k, bias=False)
    for sh in (1, 2, 3):
        for sw in (1, 2, 3):
            yield conv(f"conv_stride_{sh}x{sw}", (2, 5, 11, 10), 6, 3, (sh, sw), 1)
            yield conv(f"conv_1x1_stride_{sh}x{sw}", (1, 7, 7, 8), 10, 1, (sh, sw))
    for index, pad in enumerate(
        [(0, 0, 1, 1), (2, 0, 0, 0), (0, 3, 0, 0), (0, 0, 0, 2), (4, 1, 0, 3), (5, 5, 5, 5)]
    ):
        yield conv(f"conv_pad_{index}", (2, 3, 5, 6), 4, 3, (2, 1), pad)
    for dilation in ((2, 2), (3, 1), (1, 4)):
        yield conv(
            f"conv_dilation_{dilation[0]}x{dilation[1]}", (2, 6, 12, 13), 7, 3, 1, 2, dilation
        )
        yield conv(
            f"conv_dilation_stride_{dilation[0]}x{dilation[1]}",
            (1, 3, 13, 12),
            4,
            (2, 3),
            (2, 3),
            (1, 0, 2, 3),
            dilation,
            act=RELU,
        )
    # images smaller than the kernel, down to one pixel
    yield conv("conv_small_1x1_image", (2, 4, 1, 1), 5, 3, pad=1)
    yield conv("conv_small_k7", (2, 3, 2, 3), 6, 7, 1, 3)
    yield conv("conv_small_k5_stride", (1, 3, 2, 1), 6, 5, 2, (2, 2, 1, 2))
    yield conv("conv_small_all_padding", (1, 2, 2, 2), 3, 2, 1, 3)
    # every count of output channels and many of inputs: each tail of each panel
    for o in range(1, 71):
        yield conv(f"conv_tail_1x1_{o}", (1, 71 - o, 1, 3), o, 1)
    for c, o in [
        (1, 70),
        (3, 7),
        (7, 9),
        (8, 15),
        (15, 17),
        (16, 24),
        (17, 31),
        (31, 33),
        (33, 47),
        (47, 48),
        (48, 49),
        (63, 64),
        (65, 63),
        (70, 70),
    ]:
        way = DIRECT if c == 1 else GEMM
        yield conv(f"conv_tail_3x3_{c}_{o}", (1, c, 3, 5), o, 3, pad=1, algorithm=way)
    for pixels in range(1, 34):  # each tail of the rows of a tile
        yield conv(f"conv_pixels_{pixels}", (1, 5, 1, pixels), 9, (1, 3), pad=(0, 1, 0, 1))
    for groups, c, o in [(2, 4, 6), (3, 9, 3), (4, 8, 36), (5, 15, 40), (2, 66, 34)]:
        way = DIRECT if c // groups <= 16 else GEMM
        more = {"groups": groups, "algorithm": way}
        yield conv(f"conv_groups_{groups}_{c}_{o}", (2, c, 4, 5), o, 3, 1, 1, act=RELU, **more)
        yield conv(
            f"conv_groups_residual_{groups}_{c}_{o}",
            (2, c, 4, 5),
            o,
            (1, 3),
            1,
            (0, 1, 0, 1),
            residual=(4, 5),
            act=LEAKY,
            bias=False,
            **more,
        )
    for index, act in enumerate((NONE, RELU, RELU6, LEAKY, SIGMOID, ("tanh", 0.0, 0.0))):
        yield conv(f"conv_act_{index}", (2, 7, 5, 6), 11, 3, 1, 1, act=act)
        yield conv(
            f"conv_residual_act_{index}", (2, 7, 5, 6), 11, 3, 1, 1, act=act, residual=(5, 6)
        )
        yield conv(
            f"conv_residual_no_bias_{index}",
            (2, 7, 7, 6),
            18,
            3,
            (2, 1),
            1,
            act=act,
            residual=(4, 6),
            bias=False,
            algorithm=DIRECT,
        )
    yield conv("conv_nan_passes", (1, 3, 4, 5), 5, 3, pad=1, act=RELU, mode="n")


def depthwise():
    for c in (2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 48, 70):
        yield conv(f"depthwise_{c}", (2, c, 5, 4), c, 3, 1, 1, 1, c, act=RELU6, algorithm=DIRECT)
    for k in (1, 2, 5, 7):
        yield conv(
            f"depthwise_k{k}",
            (1, 10, 6, 7),
            10,
            (k, 3),
            (2, 1),
            (k // 2, 0, k // 2, 2),
            (1, 2),
            10,
            bias=False,
            algorithm=DIRECT,
        )
    more = {"groups": 9, "algorithm": DIRECT}
    yield conv("depthwise_sigmoid", (2, 9, 5, 4), 9, 3, 1, 1, act=SIGMOID, **more)
    yield conv("depthwise_residual", (2, 9, 5, 4), 9, 3, 1, 1, act=RELU, residual=(5, 4), **more)
    more["groups"] = 5
    for m in (2, 3, 9):
        yield conv(f"depthwise_multiplier_{m}", (2, 5, 4, 6), 5 * m, 3, 1, 1, **more)


def wino(name, x, out, **other):
    return conv(f"winograd_{name}", x, out, 3, algorithm=WINOGRAD, **other)


def winograd():
    yield wino("16", (2, 16, 16, 16), 16, pad=1)
    yield wino("17x19", (1, 16, 17, 19), 17, pad=1, act=RELU)
    yield wino("18x23", (2, 19, 18, 23), 16, pad=1, residual=(18, 23), act=RELU)
    yield wino("20x16_no_bias", (1, 33, 20, 16), 20, pad=1, bias=False, act=RELU6)
    yield wino("no_pad", (1, 24, 21, 18), 31, residual=(19, 16), bias=False)
    yield wino("pad_0213", (2, 16, 17, 14), 18, pad=(0, 2, 1, 3), act=RELU)
    yield wino("pad_5041", (1, 17, 12, 20), 16, pad=(5, 0, 4, 1))


def few_outputs():
    for o in (1, 2, 3, 4):
        yield conv(f"few_{o}", (2, 30 + 2 * o, 9, 14), o, 3, pad=1, algorithm=FEW)
    yield conv("few_no_pad", (1, 33, 7, 6), 3, 3, bias=False, algorithm=FEW)
    yield conv("few_pads", (1, 32, 5, 8), 3, (2, 5), pad=(1, 4, 0, 2), act=RELU, algorithm=FEW)
    yield conv("few_small_image", (2, 40, 2, 1), 3, 7, pad=3, algorithm=FEW)
    yield conv("few_tall", (1, 35, 40, 3), 4, (4, 1), pad=(3, 0, 3, 0), algorithm=FEW)
    yield conv("few_nan_passes", (1, 32, 4, 5), 3, 3, pad=1, act=RELU, mode="n", algorithm=FEW)
    yield conv("few_not_c31", (1, 31, 5, 5), 3, 3, pad=1)
    yield conv("few_not_5", (1, 32, 5, 5), 5, 3, pad=1)
    yield conv("few_not_stride", (1, 32, 6, 5), 3, 3, (1, 2), pad=1)
    yield conv("few_not_residual", (1, 32, 5, 5), 3, 3, pad=1, residual=(5, 5))


def winograd_edges():
    yield wino("c70", (1, 70, 16, 17), 16, pad=1)
    yield wino("o70", (1, 16, 16, 16), 70, pad=1)
    yield wino("wide", (1, 16, 16, 61), 16, pad=1, act=RELU)
    yield wino("leaky", (1, 16, 16, 16), 16, pad=1, act=LEAKY)
    yield wino("leaky_residual", (1, 16, 18, 19), 17, pad=1, residual=(18, 19), act=LEAKY)
    # just outside what it takes
    yield conv("winograd_not_15", (1, 16, 15, 16), 16, 3, pad=1)
    yield conv("winograd_not_c15", (1, 15, 16, 16), 16, 3, pad=1)
    yield conv("winograd_not_stride", (1, 16, 16, 32), 16, 3, (1, 2), pad=1)


def transposes():
    for s in (1, 2, 3, 4):
        for k in (1, 2, 3, 4, 5):
            yield transposed(f"transposed_s{s}_k{k}", (2, 3, 4, 3), 5, k, s, min(k // 2, 1))
            if s > 1:
                yield transposed(
                    f"transposed_s{s}_k{k}_out_pad", (1, 4, 3, 4), 9, k, s, k // 2, s - 1, act=RELU
                )
    yield transposed("transposed_uneven", (2, 5, 4, 3), 7, (2, 5), (3, 2), (0, 1, 1, 2), (2, 1))
    yield transposed("transposed_crop", (2, 5, 6, 5), 7, 3, 2, (3, 0, 2, 4), 1, act=LEAKY)
    for d in (2, 3):
        for s in (1, 2, 3):
            yield transposed(
                f"transposed_dilation_{d}_s{s}", (2, 3, 5, 4), 4, 3, s, 1, 0 if s == 1 else 1, d
            )
    yield transposed("transposed_dilation_4_s2", (1, 3, 5, 4), 4, (3, 2), (2, 4), 2, 1, (4, 2))
    for groups, c, o in [(2, 4, 6), (3, 6, 9), (4, 4, 4), (2, 34, 70)]:
        yield transposed(
            f"transposed_groups_{groups}_{c}_{o}",
            (2, c, 3, 4),
            o,
            3,
            2,
            1,
            1,
            1,
            groups,
            bias=groups != 3,
        )
    for c, o in [(1, 1), (1, 70), (70, 1), (15, 17), (33, 48), (70, 65)]:
        yield transposed(f"transposed_tail_{c}_{o}", (1, c, 2, 3), o, 3, 2, 1, 1)
    yield transposed("transposed_like_wav2lip", (2, 12, 1, 1), 12, 3, 1, 0, act=RELU)
    for index, act in enumerate((RELU, LEAKY, SIGMOID)):
        yield transposed(
            f"transposed_residual_{index}",
            (2, 6, 3, 4),
            7,
            3,
            2,
            1,
            1,
            act=act,
            residual=(6, 8),
            bias=index != 1,
        )
    yield transposed(
        "transposed_kernel_below_stride_residual",
        (2, 3, 3, 3),
        4,
        2,
        4,
        0,
        1,
        act=RELU,
        residual=(11, 11),
    )


def products():
    for k, o in [(1, 1), (5, 3), (16, 33), (70, 65), (257, 10)]:
        yield (f"linear_{k}_{o}", "linear", {"batch": True}, [run(3, k), const(o, k), const(o)])
    yield (
        "linear_no_bias",
        "linear",
        {"batch": True, "act": RELU},
        [run(4, 9), const(17, 9), None],
    )
    yield ("linear_sigmoid", "linear", {"act": SIGMOID}, [run(2, 3, 5, 6), const(7, 6), const(7)])
    yield ("linear_vector", "linear", {}, [run(6), const(7, 6), const(7)])
    for index, (shape, o, act) in enumerate(
        [((3, 5), 7, NONE), ((2, 13, 9), 33, RELU), ((2, 3, 4, 6), 70, SIGMOID)]
    ):
        inputs = [run(*shape), const(o, shape[-1]), const(o) if index else None]
        inputs.append(run(*shape[:-1], o))
        yield (f"linear_residual_{index}", "linear", {"batch": True, "act": act}, inputs)
    for ta in (False, True):
        for tb in (False, True):
            for m, k, n in [(1, 1, 1), (5, 7, 3), (17, 33, 49), (2, 70, 65)]:
                a, b = (k, m) if ta else (m, k), (n, k) if tb else (k, n)
                yield (
                    f"matmul_{m}_{k}_{n}_{ta:d}{tb:d}",
                    "matmul",
                    {"transpose": (ta, tb)},
                    [run(*a), run(*b)],
                )
    for index, (a, b) in enumerate(
        [
            ((3, 4, 5), (5, 6)),
            ((4, 5), (3, 5, 6)),
            ((3, 1, 4, 5), (2, 5, 6)),
            ((2, 3, 4, 5), (2, 3, 5, 7)),
            ((1, 3, 4, 5), (2, 1, 5, 7)),
            ((2, 1, 1, 4, 5), (3, 1, 5, 2)),
        ]
    ):
        yield (
            f"matmul_broadcast_{index}",
            "matmul",
            {"transpose": (False, False)},
            [run(*a), run(*b)],
        )
    yield (
        "matmul_broadcast_transposed",
        "matmul",
        {"transpose": (True, True)},
        [run(2, 1, 5, 4), run(3, 6, 5)],
    )
    yield ("matmul_constant", "matmul", {"transpose": (False, True)}, [run(2, 3, 5), const(4, 5)])


def images():
    for c in (1, 5, 33):
        vectors = [const(c), const(c), const(c), const(c, mode="p")]
        yield (
            f"batch_norm_{c}",
            "batch_norm",
            {"eps": 1e-5, "batch": True},
            [run(2, c, 3, 4), *vectors],
        )
        yield (f"l2norm_{c}", "l2norm", {"eps": 1e-10, "batch": True}, [run(2, c, 3, 4), const(c)])
        yield (
            f"l2norm_no_scale_{c}",
            "l2norm",
            {"eps": 0.5, "batch": True},
            [run(2, c, 3, 4), None],
        )
    yield (
        "batch_norm_eps",
        "batch_norm",
        {"eps": 0.125, "batch": True},
        [run(3, 4, 2, 2), const(4), const(4), const(4), const(4, mode="p")],
    )
    for kind in ("max", "average"):
        for c in (1, 9, 17):
            yield (
                f"pool_{kind}_global_{c}",
                "pool2d",
                {"kind": kind, "global": True, "batch": True},
                [run(2, c, 5, 3)],
            )
        for counted in ((False, True) if kind == "average" else (False,)):
            for ceil in (False, True):
                for index, (size, k, s, p) in enumerate(
                    [
                        ((6, 7), (2, 2), (2, 2), (0, 0)),
                        ((7, 8), (3, 3), (2, 2), (1, 1)),
                        ((5, 9), (3, 2), (3, 2), (1, 0)),
                        ((8, 5), (2, 5), (3, 4), (1, 2)),
                        ((4, 4), (3, 3), (4, 4), (1, 1)),
                        ((6, 6), (1, 1), (3, 2), (0, 0)),
                        ((2, 9), (4, 4), (5, 5), (2, 2)),
                        ((10, 10), (2, 3), (4, 7), (1, 1)),
                    ]
                ):
                    attrs = {
                        "kind": kind,
                        "global": False,
                        "kernel": k,
                        "stride": s,
                        "pad": p + p,
                        "ceil_mode": ceil,
                        "count_pad": counted,
                        "batch": True,
                    }
                    yield (
                        f"pool_{kind}_{index}_{ceil:d}{counted:d}",
                        "pool2d",
                        attrs,
                        [run(2, 3, *size)],
                    )
            attrs = {
                "kind": kind,
                "global": False,
                "kernel": (4, 3),
                "stride": (2, 1),
                "pad": (0, 1, 2, 0),
                "ceil_mode": False,
                "count_pad": counted,
                "batch": True,
            }
            yield (f"pool_{kind}_uneven_{counted:d}", "pool2d", attrs, [run(2, 18, 6, 7)])
    yield (
        "pool_max_nan",
        "pool2d",
        {
            "kind": "max",
            "global": False,
            "kernel": (2, 2),
            "stride": (1, 1),
            "pad": (0,) * 4,
            "ceil_mode": False,
            "count_pad": False,
        },
        [run(1, 9, 4, 4, mode="n")],
    )
    yield (
        "pool_max_infinite",
        "pool2d",
        {"kind": "max", "global": True},
        [run(1, 3, 4, 4, mode="i")],
    )
    for kind, corners in (("nearest", False), ("bilinear", False), ("bilinear", True)):

        def resize(name, x, size=(0, 0), scale=(0.0, 0.0)):
            return (
                f"resize_{kind}_{corners:d}_{name}",
                "resize2d",
                {
                    "kind": kind,
                    "align_corners": corners,
                    "size": size,
                    "scale": scale,
                    "batch": True,
                },
                [run(*x)],
            )

        for index, size in enumerate([(8, 10), (3, 2), (1, 1), (4, 5), (7, 3), (5, 13)]):
            yield resize(f"size_{index}", (2, 3, 4, 5), size)
        for index, scale in enumerate(
            [(2.0, 2.0), (0.5, 0.5), (1.5, 2.25), (0.7, 1.3), (3.0, 1.0)]
        ):
            yield resize(f"scale_{index}", (2, 3, 5, 6), scale=scale)
        yield resize("from_1x1", (1, 17, 1, 1), (3, 4))


def elementwise():
    acts = [
        ("clamp", -0.5, 0.25),
        RELU,
        LEAKY,
        SIGMOID,
        ("tanh", 0.0, 0.0),
        ("exp", 0.0, 0.0),
        ("silu", 0.0, 0.0),
        ("gelu", 0.0, 0.0),
        ("elu", 0.75, 0.0),
        ("abs", 0.0, 0.0),
        ("neg", 0.0, 0.0),
        ("square", 0.0, 0.0),
    ]
    for index, act in enumerate(acts):
        yield (
            f"unary_{act[0]}_{index}",
            "unary",
            {"act": act, "batch": True},
            [run(2, 5, 7, mode="s")],
        )
        yield (
            f"unary_{act[0]}_{index}_image",
            "unary",
            {"act": act, "batch": True},
            [run(2, 5, 2, 3)],
        )
    yield ("unary_sqrt", "unary", {"act": ("sqrt", 0.0, 0.0)}, [run(67, mode="p")])
    for act in (RELU, LEAKY, ("abs", 0.0, 0.0), ("neg", 0.0, 0.0), SIGMOID, ("tanh", 0.0, 0.0)):
        yield (f"unary_{act[0]}_special", "unary", {"act": act}, [run(35, mode="i")])
    shapes = [
        ((37,), (37,)),
        ((2, 3, 5), (2, 3, 5)),
        ((3, 5), (5,)),
        ((5,), (3, 5)),
        ((3, 5), (3, 1)),
        ((3, 1), (3, 5)),
        ((3, 1), (1, 5)),
        ((2, 3, 4, 5), (3, 1, 1)),
        ((2, 3, 4, 5), (1,)),
        ((1,), (2, 3, 4, 5)),
        ((2, 1, 4, 1), (3, 1, 5)),
        ((2, 3, 4, 5), (2, 1, 1, 5)),
        ((2, 3, 4, 5), (1, 3, 1, 5)),
        ((), (3, 4)),
        ((3, 4), ()),
        ((), ()),
        ((2, 1, 3, 1, 2), (4, 1, 3, 1)),
    ]
    for index, (a, b) in enumerate(shapes):
        kinds = ("add", "sub", "mul", "div", "max", "min")
        for kind in kinds if index in (0, 4, 7, 10) else (kinds[index % 6], kinds[(index + 1) % 6]):
            yield (f"binary_{kind}_{index}", "binary", {"kind": kind}, [run(*a), run(*b, mode="d")])
    yield ("binary_const", "binary", {"kind": "sub"}, [const(3, 1, 1), run(2, 3, 4, 5)])
    for kind in ("max", "min", "add"):
        yield (
            f"binary_{kind}_special",
            "binary",
            {"kind": kind},
            [run(77, mode="i"), run(77, mode="n")],
        )
        yield (f"binary_{kind}_scalar_nan", "binary", {"kind": kind}, [run(3, 4, mode="n"), run(1)])
    for act in (RELU, LEAKY):
        yield (
            f"binary_{act[0]}_fused",
            "binary",
            {"kind": "add", "act": act},
            [run(3, 7), run(3, 1)],
        )
    for shape in ((7,), (3, 5), (2, 3, 4), (2, 3, 4, 5), (1, 70)):
        for axis in range(len(shape)):
            name = f"{'x'.join(map(str, shape))}_{axis}"
            yield (f"softmax_{name}", "softmax", {"axis": axis}, [run(*shape, mode="s")])
            for kind in ("sum", "mean", "max"):
                for keep in (False, True):
                    yield (
                        f"reduce_{kind}_{name}_{keep:d}",
                        "reduce",
                        {"kind": kind, "axis": axis, "keep": keep},
                        [run(*shape)],
                    )
    yield ("softmax_wide", "softmax", {"axis": 1}, [run(3, 9, mode="w")])
    yield (
        "reduce_max_special",
        "reduce",
        {"kind": "max", "axis": 1, "keep": False},
        [run(5, 11, mode="i")],
    )


def moving():
    for axis in range(4):
        shape = [2, 3, 4, 5]
        parts = []
        for size in (1, 4, 2):
            shape[axis] = size
            parts.append(run(*shape))
        yield (f"concat_axis_{axis}", "concat", {"axis": axis}, parts)
    yield ("concat_one", "concat", {"axis": 0}, [run(3, 4)])
    yield ("concat_many", "concat", {"axis": 1}, [run(2, k) for k in range(1, 13)])
    yield ("concat_const", "concat", {"axis": 1}, [run(2, 3, 2, 2), const(2, 5, 2, 2)])
    for index, (axis, span) in enumerate(
        [
            (0, (1, 2, 1)),
            (1, (0, 7, 2)),
            (1, (-3, -1, 1)),
            (2, (1, 2**63 - 1, 3)),
            (2, (-100, 100, 1)),
            (3, (2, -1, 1)),
            (3, (-4, 2**63 - 1, 2)),
            (3, (0, 1, 1)),
            (1, (6, 7, 5)),
            (2, (0, 5, 4)),
            (3, (1, 4, 2**62)),
        ]
    ):
        yield (f"slice_{index}", "slice", {"axis": axis, "range": span}, [run(2, 7, 5, 6)])
    for index, (x, axis, sizes) in enumerate(
        [
            ((2, 7, 4, 3), 1, (1, 4, 2)),
            ((3, 5), 0, (2, 1)),
            ((2, 3, 8), 2, (8,)),
        ]
    ):
        for pick in range(len(sizes)):
            attrs = {"axis": axis, "sizes": sizes, "pick": pick}
            yield (f"split_{index}_{pick}", "split", attrs, [run(*x)])
    for index, (x, shape) in enumerate(
        [
            ((2, 3, 4, 5), (0, -1)),
            ((2, 3, 4, 5), (6, 20)),
            ((2, 3, 4, 5), (0, 0, -1)),
            ((6, 4), (-1,)),
            ((6, 4), (2, -1, 2, 3)),
            ((1,), ()),
            ((2, 12), (2, 3, 2, 2)),
        ]
    ):
        yield (f"reshape_{index}", "reshape", {"shape": shape}, [run(*x)])
    for index, order in enumerate([(0, 2, 3, 1), (3, 1, 0, 2), (0, 1, 2, 3), (3, 2, 1, 0)]):
        yield (f"transpose_{index}", "transpose", {"order": order}, [run(2, 3, 4, 5)])
    yield ("transpose_matrix", "transpose", {"order": (1, 0)}, [run(17, 35)])
    yield ("transpose_rank_6", "transpose", {"order": (5, 0, 3, 1, 4, 2)}, [run(2, 1, 3, 2, 1, 4)])

    for index, (x, shape, like) in enumerate(
        [
            ((3, 1, 1), (2, 3, 4, 5), None),
            ((2, 1, 1, 1), (0, 3, 0, 0), (2, 7, 4, 5)),
            ((1, 1, 1, 1), (0, 1, 0, 0), (3, 2, 1, 2)),
            ((4,), (2, 1), None),
            ((), (2, 3), None),
            ((5, 1), (1, 6), None),
        ]
    ):
        yield (f"expand_{index}", "expand", {"shape": shape}, [run(*x), like and run(*like)])
    for index, (block, c, size) in enumerate(
        [
            (2, 3, (4, 6)),
            (2, 1, (5, 4)),
            (2, 3, (6, 7)),
            (2, 2, (1, 1)),
            (3, 2, (7, 8)),
            (4, 1, (2, 5)),
            (1, 3, (2, 3)),
        ]
    ):
        blocks = [(s + block - 1) // block for s in size]
        attrs = {"block": block, "batch": True}
        yield (f"space_to_depth_{index}", "space_to_depth", attrs, [run(2, c, *size)])
        deep = run(2, c * block * block, *blocks)
        yield (f"depth_to_space_{index}", "depth_to_space", attrs, [deep, run(2, c, *size)])
        yield (f"depth_to_space_{index}_whole", "depth_to_space", attrs, [deep, None])


def recurrent():
    for index, (n, t, hidden, time, reverse, state) in enumerate(
        [
            (1, 6, 50, 1, False, False),
            (3, 5, 37, 1, False, True),
            (2, 4, 1, 1, True, True),
            (13, 3, 16, 1, True, False),
            (7, 9, 33, 0, False, True),
            (2, 7, 64, 0, True, False),
            (5, 1, 7, 0, False, False),
        ]
    ):
        for pick in range(3):
            attrs = {"time": time, "reverse": reverse, "pick": pick, "batch": time == 1 and n > 1}
            first = run(n, hidden) if state else None
            x = run(*((n, t) if time else (t, n)), 4 * hidden, mode="s")
            inputs = [x, const(4 * hidden, hidden), first, first]
            yield (f"lstm_{index}_{pick}", "lstm", attrs, inputs)
    attrs = {"time": 1, "reverse": False, "pick": 0, "batch": True}
    yield ("lstm_saturated", "lstm", attrs, [run(2, 4, 40, mode="w"), const(40, 10), None, None])


def transformers():
    for index, (shape, groups, given, act) in enumerate(
        [
            ((2, 6, 3, 5), 3, 2, NONE),
            ((2, 64, 9, 7), 32, 2, ("silu", 0.0, 0.0)),
            ((1, 40, 12, 13), 8, 2, ("silu", 0.0, 0.0)),
            ((3, 4, 1, 1), 2, 1, NONE),
            ((2, 5, 4, 4), 1, 0, RELU),
            ((2, 8, 70), 8, 2, ("gelu", 0.0, 0.0)),
            ((1, 1, 64 * 130 + 3), 1, 2, NONE),
            ((2, 12, 64), 4, 2, NONE),
            ((4, 10), 5, 2, NONE),
            ((2, 4, 2, 3, 5), 2, 2, NONE),
        ]
    ):
        vectors = [const(shape[1]) if given > 0 else None, const(shape[1]) if given > 1 else None]
        # `last`: behind a convolution, whose images have their channels last
        for last in (False, True) if len(shape) == 4 else (False,):
            attrs = {"groups": groups, "eps": 1e-5, "act": act, "batch": shape[0] > 1, "last": last}
            name = f"group_norm_{index}{'_last' if last else ''}"
            yield (name, "group_norm", attrs, [run(*shape, mode="p"), *vectors, None])
    for index, (shape, items) in enumerate([((2, 12, 5, 3), 2), ((3, 6, 70), 3), ((1, 4, 9), 1)]):
        vectors = [const(shape[1]), const(shape[1]), run(items, shape[1], mode="s")]
        attrs = {"groups": 2, "eps": 1e-5, "act": RELU, "batch": items > 1, "last": index == 0}
        yield (f"group_norm_offset_{index}", "group_norm", attrs, [run(*shape), *vectors])
    vectors = [None, None, const(1, 6, mode="s")]
    attrs = {"groups": 3, "eps": 1e-5, "act": NONE, "batch": True, "last": True}
    yield ("group_norm_one_offset", "group_norm", attrs, [run(2, 6, 3, 4), *vectors])
    for index, (shape, kind) in enumerate(
        [((3, 10), NONE), ((2, 5, 70), ("gelu", 0.0, 0.0)), ((2, 3, 4, 8), SIGMOID), ((2,), RELU)]
    ):
        attrs = {"gate": kind, "batch": len(shape) > 1}
        yield (f"gate_{index}", "gate", attrs, [run(*shape, mode="s")])
    for index, (b, h, g, l, s, d, e, extra) in enumerate(
        [
            (1, 1, 1, 1, 1, 1, 1, {}),
            (2, 2, 2, 5, 7, 3, 4, {}),
            (1, 3, 3, 13, 300, 8, 8, {}),
            (2, 4, 2, 9, 33, 16, 5, {}),
            (1, 2, 2, 50, 513, 40, 40, {}),
            (1, 1, 1, 3, 40, 160, 70, {"scale": 0.5}),
            (2, 2, 1, 30, 30, 6, 6, {"causal": True}),
            (1, 1, 1, 270, 270, 5, 3, {"causal": True}),
            (1, 1, 1, 7, 3, 5, 3, {"causal": True}),
            (2, 2, 2, 4, 6, 3, 5, {"mask": (2, 2, 4, 6)}),
            (2, 2, 2, 4, 260, 3, 5, {"mask": (4, 260)}),
            (2, 3, 1, 5, 6, 3, 5, {"mask": (3, 5, 6), "causal": True}),
        ]
    ):
        for heads in (0, h):
            attrs = {
                "heads": heads,
                "key_heads": g if heads else 0,
                "scale": extra.get("scale", 0.0),
                "causal": extra.get("causal", False),
                "batch": b > 1 and len(extra.get("mask", ())) in (0, 4),
            }
            parts = [(h, l, d), (g, s, d), (g, s, e)]
            shapes = [(b, n, c * w) if heads else (b, c, n, w) for c, n, w in parts]
            mask = run(*extra["mask"]) if "mask" in extra else None
            inputs = [run(*shape, mode="s") for shape in shapes]
            yield (f"attention_{index}_{heads}", "attention", attrs, [*inputs, mask])
    attrs = {"heads": 0, "key_heads": 0, "scale": 0.0, "causal": False}
    inputs = [run(1, 1, 3, 4), run(1, 1, 5, 4), run(1, 1, 5, 2), run(3, 5, mode="m")]
    yield ("attention_hidden", "attention", attrs, inputs)


def layer_norms():
    """And what stands beside them in a transformer: linear layers with GELU."""
    for shape, axis in [((2, 3, 5), -1), ((3, 70), 1), ((2, 3, 4, 5), 1), ((2, 3, 4, 5), -2)]:
        size = shape[axis:]
        for rms in (False, True):
            name = f"{'rms' if rms else 'layer'}_norm_{len(shape)}_{axis % len(shape)}"
            attrs = {"axis": axis, "eps": 1e-5, "rms": rms, "batch": True}
            yield (name, "layer_norm", attrs, [run(*shape), const(*size), const(*size)])
            yield (name + "_gamma", "layer_norm", attrs, [run(*shape), const(*size), None])
            yield (name + "_plain", "layer_norm", attrs, [run(*shape), None, None])
    attrs = {"axis": 0, "eps": 0.125, "rms": False}
    yield ("layer_norm_vector", "layer_norm", attrs, [run(67), const(67), const(67)])
    yield ("layer_norm_long", "layer_norm", attrs, [run(3, 1700), None, None])
    for c in (1, 5, 33):
        attrs = {"eps": 1e-5, "rms": False, "batch": True}
        yield (f"channel_norm_{c}", "channel_norm", attrs, [run(2, c, 3, 4), const(c), const(c)])
        attrs = {"eps": 1e-5, "rms": True, "batch": True}
        yield (f"channel_norm_rms_{c}", "channel_norm", attrs, [run(2, c, 3, 4), None, None])
    for act in ("gelu", "gelu_tanh"):
        gelu = (act, 0.0, 0.0)
        yield (
            f"linear_{act}",
            "linear",
            {"act": gelu, "batch": True},
            [run(3, 4, 9, mode="s"), const(37, 9), const(37)],
        )
        yield conv(f"conv_{act}", (2, 3, 1, 9), 5, (1, 3), (1, 2), act=gelu)
        yield (f"unary_{act}", "unary", {"act": gelu}, [run(67, mode="s")])


def waves():
    for c, k, stride, samples in [(1, 1, 1, 1), (5, 3, 2, 8), (70, 10, 5, 403), (33, 12, 7, 29)]:
        attrs = {"stride": stride, "eps": 1e-5, "batch": True}
        name, x, weight = f"{c}_{k}", run(2, samples), const(c, 1, k)
        vectors = [const(c), const(c)]
        yield (f"wave_norm_{name}", "wave_norm", attrs, [x, weight, *vectors])
        gelu = {"stride": stride, "act": ("gelu", 0.0, 0.0), "batch": True}
        yield (f"wave_conv_{name}", "wave_conv", gelu, [x, weight, run(2, 2, c)])


GROUPS = {
    "convolution": convolutions,
    "few_outputs": few_outputs,
    "depthwise": depthwise,
    "winograd": winograd,
    "winograd_edges": winograd_edges,
    "transposed": transposes,
    "product": products,
    "image": images,
    "elementwise": elementwise,
    "moving": moving,
    "recurrent": recurrent,
    "transformer": transformers,
    "layer_norm": layer_norms,
    "wave": waves,
}

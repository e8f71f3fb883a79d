"""Resizing of images whose height and width only a run tells, in both families."""

import numpy as np
import pytest

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import TARGETS, ct, mb, types  # noqa: E402
from coremltools.converters.mil.mil import get_new_symbol  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402
from coremltools.models.neural_network import flexible_shape_utils as flexible  # noqa: E402
from coremltools.models.utils import save_spec  # noqa: E402

SIZES = [(1, 1), (2, 5), (9, 16)]


def places(sampling, old, new):
    """Where each of `new` lies in `old`, by the description of the format."""
    i = np.arange(new, dtype=np.float64)
    if sampling == "DEFAULT":
        at = i * old / new
    elif sampling == "UNALIGN_CORNERS":
        at = (i + 0.5) * old / new - 0.5
    elif sampling == "OFFSET_CORNERS":
        at = (i + 0.5) * max(1, old - 1) / new
    elif sampling == "ALIGN_CORNERS" and new == 1:
        at = np.full(1, (old - 1) / 2)
    else:
        at = i * (old - 1) / max(1, new - 1)
    return np.clip(at, 0, old - 1)


def linear(x, size, sampling):
    for axis, new in zip((-2, -1), size):
        old = x.shape[axis]
        at = places(sampling, old, new)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, old - 1)
        part = (at - low).reshape((-1, 1) if axis == -2 else (-1,))
        x = x.take(low, axis) * (1 - part) + x.take(high, axis) * part
    return x


def nearest(x, size, middle=False):
    for axis, new in zip((-2, -1), size):
        i = np.arange(new)
        at = (2 * i + 1) * x.shape[axis] // (2 * new) if middle else i * x.shape[axis] // new
        x = x.take(at, axis)
    return x


def scaled(size, factors):
    return [int(np.floor(n * float(np.float32(f)))) for n, f in zip(size, factors)]


def check(program, folder, path, output, want_of):
    for size in SIZES:
        x = np.random.default_rng(size).standard_normal((2, 3, *size)).astype("f")
        got = coreml_run.run(program, path, {"x": x}, [output], folder)[0]
        want = want_of(x)
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-6 * max(1, np.abs(x).max()))


def flexible_program(folder, build, opset):
    """A function of x (2,3,?,?)."""
    spec = mb.TensorSpec(shape=(2, 3, get_new_symbol(), get_new_symbol()), dtype=types.fp32)
    program = mb.program(input_specs=[spec], opset_version=TARGETS[opset])(lambda x: build(x))
    shape = ct.Shape((2, 3, ct.RangeDim(1, 50, 4), ct.RangeDim(1, 50, 4)))
    model = ct.convert(program, convert_to="mlprogram", inputs=[ct.TensorType("x", shape=shape)],
                       minimum_deployment_target=TARGETS[opset],
                       compute_precision=ct.precision.FLOAT32,
                       pass_pipeline=ct.PassPipeline.EMPTY)
    model.save(str(folder / "net.mlpackage"))
    return folder / "net.mlpackage", model.get_spec().description.output[0].name


ALIGNED = {"align_corners": True}
FACTORS = [(1.5, 2.25), (2, 1)]


@pytest.mark.parametrize("factors", FACTORS)
@pytest.mark.parametrize("opset, options, sampling", [
    (5, ALIGNED, "STRICT_ALIGN_CORNERS"),
    (5, {"align_corners": False}, "UNALIGN_CORNERS"),
    (6, {"align_corners": False, "half_pixel_centers": False}, "DEFAULT"),
])
def test_upsample_bilinear(program, tmp_path, factors, opset, options, sampling):
    path, output = flexible_program(
        tmp_path, lambda x: mb.upsample_bilinear(x=x, scale_factor_height=factors[0],
                                                 scale_factor_width=factors[1], **options), opset)
    check(program, tmp_path, path, output,
          lambda x: linear(x, scaled(x.shape[2:], factors), sampling))


@pytest.mark.parametrize("factors", FACTORS)
def test_upsample_nearest(program, tmp_path, factors):
    path, output = flexible_program(
        tmp_path, lambda x: mb.upsample_nearest_neighbor(
            x=x, scale_factor_height=factors[0], scale_factor_width=factors[1]), 5)
    check(program, tmp_path, path, output,
          lambda x: nearest(x, scaled(x.shape[2:], factors)))


@pytest.mark.parametrize("old, new, middle", [(14, 18, False), (20, 44, False), (14, 9, True),
                                              (20, 22, True)])
def test_places_that_are_whole_numbers(program, tmp_path, old, new, middle):
    """Whose quotients, of the sizes' own quotient, are a little less."""
    x = np.arange(old, dtype="f").reshape(1, 1, old, 1)
    resize = ((lambda a: mb.resize_nearest_neighbor(x=a, target_size_height=new,
                                                    target_size_width=1)) if middle else
              (lambda a: mb.upsample_nearest_neighbor(x=a, scale_factor_height=(new + 1e-4) / old,
                                                      scale_factor_width=1.0)))
    path, outputs = coreml_run.program_file(tmp_path, resize, [x])
    got = coreml_run.run(program, path, {"in0": x}, outputs, tmp_path)[0]
    np.testing.assert_array_equal(got, nearest(x, (new, 1), middle))


MODES = ["DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "UNALIGN_CORNERS", "OFFSET_CORNERS"]


@pytest.mark.parametrize("size", [(1, 6), (5, 1)])
@pytest.mark.parametrize("mode", MODES)
def test_to_a_size(program, tmp_path, mode, size):
    path, output = flexible_program(
        tmp_path, lambda x: mb.resize_bilinear(x=x, target_size_height=size[0],
                                               target_size_width=size[1], sampling_mode=mode), 5)
    check(program, tmp_path, path, output, lambda x: linear(x, size, mode))


@pytest.mark.parametrize("mode", MODES + ["NEAREST_NEIGHBOR"])
def test_to_sizes_that_are_computed(program, tmp_path, mode):
    """Twice as high and a third as wide (1 at least), and, of 0, as wide as it is."""
    def sizes(x, wide):
        shape = mb.shape(x=x)
        high = mb.mul(x=mb.slice_by_index(x=shape, begin=[2], end=[3]), y=np.int32([2]))
        third = mb.floor_div(x=mb.slice_by_index(x=shape, begin=[3], end=[4]), y=np.int32([3]))
        return mb.concat(values=[high, mb.maximum(x=third, y=np.int32([1])) if wide else
                                 np.int32([0])], axis=0)

    way = ({"interpolation_mode": mode} if mode == "NEAREST_NEIGHBOR" else {"sampling_mode": mode})
    for wide in (True, False):
        path, output = flexible_program(
            tmp_path, lambda x: mb.resize(x=x, shape=sizes(x, wide), resized_dims=np.uint32(2),
                                          **way), 7)

        def want(x, wide=wide):
            size = 2 * x.shape[2], max(1, x.shape[3] // 3) if wide else x.shape[3]
            return linear(x, size, mode) if mode in MODES else nearest(x, size, True)

        check(program, tmp_path, path, output, want)


@pytest.mark.parametrize("align", [True, False])
def test_resample_by_pixels(program, tmp_path, align):
    at = np.random.default_rng(5).uniform(-2, 9, (2, 4, 3, 2)).astype("f")
    path, output = flexible_program(
        tmp_path, lambda x: mb.resample(
            x=x, coordinates=at, sampling_mode="bilinear", padding_mode="constant",
            padding_value=-1.5, coordinates_mode="unnormalized", align_corners=align), 5)

    def want(x):
        high, wide = x.shape[2:]
        padded = np.pad(x - -1.5, ((0, 0), (0, 0), (3, 12), (3, 12))) + -1.5
        out = np.empty((2, 3, 4, 3))
        for n, i, j in np.ndindex(2, 4, 3):
            column, row = at[n, i, j].astype(float)
            a, b = int(np.floor(row)), int(np.floor(column))
            p, q = row - a, column - b
            part = padded[n, :, a + 3:a + 5, b + 3:b + 5]
            out[n, :, i, j] = np.einsum("chw,h,w->c", part, [1 - p, p], [1 - q, q])
        return out

    for size in [(2, 5), (7, 4)]:
        x = np.random.default_rng(size).standard_normal((2, 3, *size)).astype("f")
        got = coreml_run.run(program, path, {"x": x}, [output], tmp_path)[0]
        np.testing.assert_allclose(got, want(x), rtol=0, atol=2e-5)


# ---- neural networks ----------------------------------------------------------------------------


def flexible_network(folder, add, exact):
    builder = NeuralNetworkBuilder([("x", datatypes.Array(2, 3, 4, 4) if exact else
                                     datatypes.Array(3, 4, 4))], [("y", None)],
                                   disable_rank5_shape_mapping=exact)
    add(builder)
    if exact:
        flexible.set_multiarray_ndshape_range(builder.spec, "x", [2, 3, 1, 1], [2, 3, 50, 50])
    else:
        size = flexible.NeuralNetworkMultiArrayShapeRange()
        size.add_channel_range((3, 3))
        size.add_height_range((1, 50))
        size.add_width_range((1, 50))
        flexible.update_multiarray_shape_range(builder.spec, "x", size)
    save_spec(builder.spec, str(folder / "net.mlmodel"))
    return folder / "net.mlmodel", "y"


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("factors, mode, way, sampling", [
    ((2, 3), "NN", "DEFAULT", None),
    ((2, 3), "BILINEAR", "DEFAULT", "upsample"),
    ((2, 2), "BILINEAR", "ALIGN_CORNERS_TRUE", "STRICT_ALIGN_CORNERS"),
    ((1.5, 2.25), "BILINEAR", "ALIGN_CORNERS_FALSE", "UNALIGN_CORNERS"),
])
def test_upsample_layer(program, tmp_path, exact, factors, mode, way, sampling):
    path, output = flexible_network(
        tmp_path, lambda n: n.add_upsample("l", *factors, "x", "y", mode, way), exact)

    def want(x):
        size = scaled(x.shape[2:], factors)
        return (nearest(x, size) if sampling is None else
                linear(x, size, "DEFAULT" if sampling == "upsample" else sampling))

    check(program, tmp_path, path, output, want)


@pytest.mark.parametrize("method", ["STRICT_ALIGN_ENDPOINTS_MODE", "ALIGN_ENDPOINTS_MODE",
                                    "UPSAMPLE_MODE", "ROI_ALIGN_MODE"])
def test_resize_layer(program, tmp_path, method):
    named = dict(zip(["UPSAMPLE_MODE", "STRICT_ALIGN_ENDPOINTS_MODE", "ALIGN_ENDPOINTS_MODE",
                      "ROI_ALIGN_MODE"], [m for m in MODES if m != "UNALIGN_CORNERS"]))
    path, output = flexible_network(
        tmp_path, lambda n: n.add_resize_bilinear("l", "x", "y", 5, 1, method), True)
    check(program, tmp_path, path, output, lambda x: linear(x, (5, 1), named[method]))


def test_cut_to_the_size_of_another(program, tmp_path):
    def add(builder):
        builder.add_upsample("twice", 2, 2, "x", "twice")
        builder.add_crop("cut", 0, 0, 0, 0, [0, 1], ["twice", "x"], "y")

    path, output = flexible_network(tmp_path, add, False)
    for size in [(2, 5), (7, 4)]:
        x = np.random.default_rng(size).standard_normal((2, 3, *size)).astype("f")
        got = coreml_run.run(program, path, {"x": x}, [output], tmp_path)[0]
        want = nearest(x, (2 * size[0], 2 * size[1]))[..., :size[0], 1:size[1] + 1]
        np.testing.assert_array_equal(got, want)

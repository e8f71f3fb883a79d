"""Shapes that a file allows, on a call and in what is written of it; inputs it does without."""

import json

import numpy as np
import pytest
import torch
from torch import nn

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import ct  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402
from coremltools.models.neural_network import flexible_shape_utils as flexible  # noqa: E402
from coremltools.models.utils import save_spec  # noqa: E402

FAMILIES = ["neuralnetwork", 5]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x):
        return torch.relu(self.conv(x))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Net().eval()


def shapes_of(kind):
    if kind == "ranges":
        return ct.Shape((1, 3, ct.RangeDim(8, 20, 12), ct.RangeDim(8, 300, 10)))
    return ct.EnumeratedShapes([(1, 3, 8, 8), (1, 3, 12, 10)], default=(1, 3, 12, 10))


@pytest.fixture(scope="module")
def file_of(tmp_path_factory, net):
    """A file that is flexible in this way, and its output."""
    made = {}

    def make(kind, family, image):
        if (kind, family, image) not in made:
            type_of = ct.ImageType if image else ct.TensorType
            path, outputs, _ = coreml_run.network_file(
                tmp_path_factory.mktemp("net"), net, {"x": np.zeros((1, 3, 12, 10), "f")}, family,
                inputs=[type_of(name="x", shape=shapes_of(kind))])
            made[kind, family, image] = path, outputs[0]
        return made[kind, family, image]

    return make


def refused(program, path, shape, folder, name="x", output="y", command="exec"):
    """What a call with this shape is told."""
    np.save(folder / "wrong.npy", np.zeros(shape, "f"))
    done = program.run(command, path, "--input", f"{name}={folder}/wrong.npy", "--output",
                       f"{output}={folder}/wrong_y.npy", code=1)
    assert not (folder / "wrong_y.npy").exists()
    return done.stderr


def allowed_of(kind, path):
    if kind == "ranges":
        return "1x3x(8..20)x(8..300)"
    spec = ct.utils.load_spec(str(path)).description.input[0].type  # a set, in any order
    shapes = spec.multiArrayType.enumeratedShapes.shapes
    sizes = [tuple(s.shape) for s in shapes] or [
        (1, 3, s.height, s.width) for s in spec.imageType.enumeratedSizes.sizes]
    assert sorted(sizes) == [(1, 3, 8, 8), (1, 3, 12, 10)]
    return ", ".join("x".join(map(str, s)) for s in sizes)


@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["ranges", "list"])
def test_only_shapes_that_are_allowed(program, tmp_path, net, file_of, kind, family, image):
    path, output = file_of(kind, family, image)
    for size in [(8, 8), (12, 10)] + [(20, 300), (9, 17)] * (kind == "ranges"):
        x = np.random.default_rng(0).uniform(0, 1, (1, 3, *size)).astype("f")
        with torch.no_grad():
            want = net(torch.tensor(x)).numpy()
        got = coreml_run.run(program, path, {"x": x}, [output], tmp_path)[0]
        np.testing.assert_allclose(got.reshape(want.shape), want, rtol=0, atol=1e-5)
    told = allowed_of(kind, path)
    for size in [(7, 8), (21, 8), (8, 7), (12, 301)] + [(8, 10), (12, 8)] * (kind == "list"):
        words = refused(program, path, (1, 3, *size), tmp_path, output=output)
        assert (f"input x: shape 1x3x{size[0]}x{size[1]} is not allowed; allowed: {told}\n"
                in words)
    # An input of fewer dimensions is of size 1 in front.
    assert "1x3x7x8 is not allowed" in refused(program, path, (3, 7, 8), tmp_path, output=output)
    # What is allowed, and the default of the file where nobody says another.
    text = program.run("info", path).stdout
    assert f"       allowed: {told}; without saying (1,3,12,10)\n" in text
    assert "one run, the file's own sizes: 0.0" in text
    told_json = json.loads(program.run("info", path, "--json").stdout)
    assert told_json["inputs"][0]["allowed"] == told
    assert told_json["inputs"][0]["usual"] == [1, 3, 12, 10]
    assert told_json["macs"] == 12 * 10 * 27 * 4
    lines = program.run("bench", path, "--threads", "1", "--runs", "1", "--seconds", "0", "--json")
    assert json.loads(lines.stdout.splitlines()[0])["macs"] == 12 * 10 * 27 * 4
    done = program.run("bench", path, "--shape", "x=1x3x7x8", "--threads", "1", code=1)
    assert "shape 1x3x7x8 is not allowed; allowed: " in done.stderr


def test_ranges_without_an_end(program, tmp_path, net):
    shape = ct.Shape((ct.RangeDim(1, -1, 1), 3, ct.RangeDim(8, -1, 12), 10))
    path, outputs, _ = coreml_run.network_file(
        tmp_path, net, {"x": np.zeros((1, 3, 12, 10), "f")}, "neuralnetwork",
        inputs=[ct.TensorType(name="x", shape=shape)])
    x = np.random.default_rng(0).standard_normal((5, 3, 400, 10)).astype("f")
    with torch.no_grad():
        want = net(torch.tensor(x)).numpy()
    got = coreml_run.run(program, path, {"x": x}, outputs, tmp_path)[0]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)
    words = refused(program, path, (2, 3, 7, 10), tmp_path, output=outputs[0])
    assert "shape 2x3x7x10 is not allowed; allowed: ?x3x(8..)x10\n" in words


# ---- neural networks whose arrays are (C,H,W) or (C), and images --------------------------------


def relu_spec(edit, shape=(3, 8, 8), exact=False):
    builder = NeuralNetworkBuilder([("x", datatypes.Array(*shape))], [("y", None)],
                                   disable_rank5_shape_mapping=exact)
    builder.add_activation("a", "RELU", "x", "y")
    edit(builder.spec)
    return builder.spec


def as_image(spec):
    image = spec.description.input[0].type.imageType
    image.width, image.height, image.colorSpace = 8, 8, 20


def image_list(spec):
    as_image(spec)
    sizes = [flexible.NeuralNetworkImageSize(height=h, width=w) for h, w in ((8, 8), (4, 6))]
    flexible.add_enumerated_image_sizes(spec, "x", sizes)


def image_range(spec):
    as_image(spec)
    size = flexible.NeuralNetworkImageSizeRange(height_range=(4, 9), width_range=(6, -1))
    flexible.update_image_size_range(spec, "x", size)


def array_range(spec):
    size = flexible.NeuralNetworkMultiArrayShapeRange()
    size.add_channel_range((3, 3))
    size.add_height_range((4, 9))
    size.add_width_range((6, -1))
    flexible.update_multiarray_shape_range(spec, "x", size)


def array_list(spec):
    flexible.add_multiarray_ndshape_enumeration(spec, "x", [(3, 8, 8), (3, 4, 6)])


@pytest.mark.parametrize("edit, allowed, others", [
    (image_list, "1x3x8x8, 1x3x4x6", [(1, 3, 10, 8)]),
    (image_range, "1x3x(4..9)x(6..)", [(1, 3, 10, 8), (1, 3, 8, 5)]),
    (array_list, "?x3x8x8, ?x3x4x6", [(1, 3, 8, 6), (2, 3, 4, 8)]),
    (array_range, "?x3x(4..9)x(6..)", [(1, 3, 3, 8), (4, 3, 8, 5)]),
])
def test_planes(program, tmp_path, edit, allowed, others):
    path = tmp_path / "net.mlmodel"
    save_spec(relu_spec(edit), str(path))
    x = np.random.default_rng(0).uniform(-9, 255, (1, 3, 4, 6)).astype("f")
    got = coreml_run.run(program, path, {"x": x}, ["y"], tmp_path)[0]
    np.testing.assert_array_equal(got.reshape(x.shape), np.maximum(x, 0))
    for shape in others:
        text = "x".join(map(str, shape))
        assert (f"input x: shape {text} is not allowed; allowed: {allowed}\n"
                in refused(program, path, shape, tmp_path))
    assert f"allowed: {allowed}; without saying (1,3,8,8)" in program.run("info", path).stdout


def test_pictures_of_sizes_that_are_allowed(program, tmp_path):
    from PIL import Image
    path = tmp_path / "net.mlmodel"
    save_spec(relu_spec(image_list), str(path))
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "fits.png")
    Image.fromarray(pixels[:, :5]).save(tmp_path / "other.png")
    program.run("exec", path, "--input", f"x={tmp_path}/fits.png", "--output",
                f"y={tmp_path}/y.npy")
    got = np.load(tmp_path / "y.npy").reshape(3, 4, 6)
    np.testing.assert_array_equal(got, pixels.transpose(2, 0, 1))
    other = ["exec", path, "--input", f"x={tmp_path}/other.png", "--output",
             f"y={tmp_path}/other.npy"]
    assert "shape 1x3x4x5 is not allowed" in program.run(*other, code=1).stderr
    # Where none of the sizes is the picture's, it is scaled to the default one.
    program.run(*other, "--resize")
    assert np.load(tmp_path / "other.npy").reshape(3, -1).shape == (3, 64)


def test_lists_of_shapes_of_several_ranks(program, tmp_path):
    def edit(spec):
        listed = spec.description.input[0].type.multiArrayType.enumeratedShapes
        for shape in ((2, 3), (4,), (1, 2, 5)):
            listed.shapes.add().shape.extend(shape)

    path = tmp_path / "net.mlmodel"
    save_spec(relu_spec(edit, (2, 3), exact=True), str(path))
    for shape in ((4,), (2, 3), (1, 2, 5)):
        x = np.random.default_rng(0).standard_normal(shape).astype("f")
        got = coreml_run.run(program, path, {"x": x}, ["y"], tmp_path)[0]
        np.testing.assert_array_equal(got, np.maximum(x, 0))
    assert "shape 3x2 is not allowed; allowed: 2x3, 4, 1x2x5\n" in refused(
        program, path, (3, 2), tmp_path)
    assert "without saying (2,3)" in program.run("info", path).stdout


def test_long_lists_are_told_in_part(program, tmp_path):
    def edit(spec):
        listed = spec.description.input[0].type.multiArrayType.enumeratedShapes
        for n in range(2, 42):
            listed.shapes.add().shape.append(n)

    path = tmp_path / "net.mlmodel"
    save_spec(relu_spec(edit, (2,), exact=True), str(path))
    words = refused(program, path, (50,), tmp_path)
    assert "allowed: 2, 3, 4, 5, 6, 7, 8, 9, and 32 more\n" in words
    x = np.ones(41, "f")
    np.testing.assert_array_equal(coreml_run.run(program, path, {"x": x}, ["y"], tmp_path)[0], x)


# ---- several inputs -----------------------------------------------------------------------------


class Sum(nn.Module):
    def forward(self, a, b):
        return torch.relu(a + b)


@pytest.mark.parametrize("family", FAMILIES)
def test_inputs_are_limited_each_alone(program, tmp_path, family):
    """That two of them must be alike is for inference to find, with the layer's name."""
    inputs = [ct.TensorType(name=name, shape=ct.Shape((1, ct.RangeDim(2, 8, 4)))) for name in "ab"]
    arrays = {name: np.ones((1, 4), "f") for name in "ab"}
    path, outputs, _ = coreml_run.network_file(tmp_path, Sum().eval(), arrays, family,
                                               inputs=inputs)
    alike = {name: np.ones((1, 7), "f") for name in "ab"}
    got = coreml_run.run(program, path, alike, outputs, tmp_path)[0]
    np.testing.assert_array_equal(got, np.full((1, 7), 2, "f"))
    for name, length in (("a", 3), ("b", 5)):
        np.save(tmp_path / f"{name}.npy", np.ones((1, length), "f"))
    done = program.run("exec", path, "--input", f"a={tmp_path}/a.npy", "--input",
                       f"b={tmp_path}/b.npy", "--output", f"{outputs[0]}={tmp_path}/y.npy", code=1)
    assert "is not allowed" not in done.stderr
    assert "(1,3)" in done.stderr and "(1,5)" in done.stderr
    spec = ct.utils.load_spec(str(path))
    first = (spec.neuralNetwork.layers[0].name if family == "neuralnetwork" else
             coreml_run.block_of(spec).operations[0].attributes["name"]
             .immediateValue.tensor.strings.values[0])
    assert f": {first} (binary): operands" in done.stderr


# ---- inputs that may be left out ----------------------------------------------------------------


def test_inputs_that_are_left_out(program, tmp_path):
    inputs = [("x", datatypes.Array(2)), ("h", datatypes.Array(3)), ("k", datatypes.Array(2))]
    builder = NeuralNetworkBuilder(inputs, [("y", None), ("z", None)],
                                   disable_rank5_shape_mapping=True)
    builder.add_activation("a", "LINEAR", "h", "y", [1, 0])
    builder.add_elementwise("s", ["x", "k"], "z", "ADD")
    spec = builder.spec
    spec.specificationVersion = 5
    for feature in spec.description.input[1:]:
        feature.type.isOptional = True
    spec.description.input[2].type.multiArrayType.floatDefaultValue = 2.5
    path = tmp_path / "net.mlmodel"
    save_spec(spec, str(path))
    x, h = np.array([1, 2], "f"), np.array([3, 4, 5], "f")
    got = coreml_run.run(program, path, {"x": x}, ["y", "z"], tmp_path)
    np.testing.assert_array_equal(got[0], np.zeros(3))
    np.testing.assert_array_equal(got[1], x + 2.5)
    got = coreml_run.run(program, path, {"x": x, "h": h, "k": x}, ["y", "z"], tmp_path)
    np.testing.assert_array_equal(got[0], h)
    np.testing.assert_array_equal(got[1], 2 * x)
    steps = coreml_run.run(program, path, {"x": np.stack([x, h[:2], x])}, ["y", "z"], tmp_path,
                           "--steps")
    np.testing.assert_array_equal(steps[0], np.zeros((3, 3)))
    np.testing.assert_array_equal(steps[1], np.stack([x, h[:2], x]) + 2.5)
    np.save(tmp_path / "h.npy", h)
    done = program.run("exec", path, "--input", f"h={tmp_path}/h.npy", "--output",
                       f"y={tmp_path}/y.npy", code=1)
    assert "not given: x;" in done.stderr
    text = program.run("info", path).stdout
    assert text.count("may be left out: ") == 2 and "may be left out: 2.5 then\n" in text
    told = json.loads(program.run("info", path, "--json").stdout)["inputs"]
    assert [i.get("default") for i in told] == [None, 0, 2.5]
    # Both are kept where they are written, and run the same.
    out = tmp_path / "new.mlpackage"
    program.run("convert", path, "-o", out)
    kept = ct.utils.load_spec(str(out)).description.input
    assert [f.type.isOptional for f in kept] == [False, True, True]
    assert kept[2].type.multiArrayType.floatDefaultValue == 2.5
    got = coreml_run.run(program, out, {"x": x}, ["y", "z"], tmp_path)
    np.testing.assert_array_equal(got[1], x + 2.5)
    # So they are in networks, whose specification tells of defaults; not of the oldest.
    for target, version, optional in (("ios13", 5, [False, True, True]),
                                      ("ios12", 1, [False, True, False])):
        told = program.run("convert", path, "-o", tmp_path / "new.mlmodel", "--target",
                           target).stderr
        spec = ct.utils.load_spec(str(tmp_path / "new.mlmodel"))
        assert spec.specificationVersion == version
        assert [f.type.isOptional for f in spec.description.input] == optional
        assert ("input k may be left out in the source, and not here" in told) == (version == 1)
        program.run("check", tmp_path / "new.mlmodel")


def test_states_that_are_left_out(program, tmp_path):
    """As converters wrote recurrent networks: the state of the step before, by name, optional."""
    rng = np.random.default_rng(0)
    names = ["x", "h", "c"]
    builder = NeuralNetworkBuilder(
        [(n, datatypes.Array(s)) for n, s in zip(names, (3, 4, 4))],
        [(n, datatypes.Array(4)) for n in ("y", "h_out", "c_out")])
    matrices = [rng.standard_normal((4, k)).astype("f") for k in (4,) * 4 + (3,) * 4]
    builder.add_unilstm("lstm", matrices[:4], matrices[4:], None, 4, 3, names,
                        ["y", "h_out", "c_out"])
    spec = builder.spec
    for feature in spec.description.input[1:]:
        feature.type.isOptional = True
    path = tmp_path / "net.mlmodel"
    save_spec(spec, str(path))
    x = rng.standard_normal((1, 1, 3)).astype("f")
    zero = np.zeros((1, 1, 4), "f")
    outputs = ["y", "h_out", "c_out"]
    without = coreml_run.run(program, path, {"x": x}, outputs, tmp_path)
    given = coreml_run.run(program, path, {"x": x, "h": zero, "c": zero}, outputs, tmp_path)
    for left, right in zip(without, given):
        np.testing.assert_array_equal(left, right)
    assert np.abs(without[0]).max() > 0.01


# ---- writing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize("family, end", [("neuralnetwork", ".mlpackage"), (5, ".mlmodel"),
                                         (5, ".mlpackage")])
@pytest.mark.parametrize("kind", ["ranges", "list"])
def test_what_is_allowed_is_kept(program, tmp_path, net, file_of, kind, family, end, image):
    path, output = file_of(kind, family, image)
    out = tmp_path / ("new" + end)
    options = ["--image-input", "x"] if image else []
    program.run("convert", path, "-o", out, *options)
    old, new = (ct.utils.load_spec(str(p)).description.input[0].type for p in (path, out))
    if image:
        assert new.imageType.WhichOneof("SizeFlexibility") == old.imageType.WhichOneof(
            "SizeFlexibility")
        assert new.imageType == old.imageType
    else:
        new.multiArrayType.dataType = old.multiArrayType.dataType
        assert new.multiArrayType == old.multiArrayType
    x = np.random.default_rng(0).uniform(0, 1, (1, 3, 8, 8)).astype("f")
    got = coreml_run.run(program, out, {"x": x}, [output], tmp_path)[0]
    with torch.no_grad():
        want = net(torch.tensor(x)).numpy()
    np.testing.assert_allclose(got.reshape(want.shape), want, rtol=0, atol=1e-5)
    assert "is not allowed; allowed: " in refused(program, out, (1, 3, 7, 8), tmp_path,
                                                  output=output)
    # What the caller asks for comes first.
    one = tmp_path / ("one" + end)
    program.run("convert", path, "-o", one, "--shape", "x=1x3x8x8", *options)
    type_of = ct.utils.load_spec(str(one)).description.input[0].type
    assert "Range" not in str(type_of) and "enumerated" not in str(type_of)
    program.run("convert", path, "-o", one, "--flexible", "x.2=8..12", *options)
    told = program.run("info", one).stdout
    assert "x(8..12)x" in told


# ---- descriptions of what cannot be run ---------------------------------------------------------


def test_descriptions_that_are_refused(program, tmp_path):
    def no_shape(spec):
        spec.description.input[0].type.multiArrayType.ClearField("shape")

    def empty_entry(spec):
        spec.description.input[0].type.multiArrayType.enumeratedShapes.shapes.add()

    def ranks(spec):
        listed = spec.description.input[0].type.multiArrayType.enumeratedShapes
        for shape in ((3, 8, 8), (3,)):
            listed.shapes.add().shape.extend(shape)

    def empty_list(spec):
        spec.description.input[0].type.multiArrayType.enumeratedShapes.SetInParent()

    def default_outside(spec):
        array_range(spec)
        spec.description.input[0].type.multiArrayType.shape[1] = 10

    def short_range(spec):
        array_range(spec)
        spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges.pop()

    def no_size(spec):
        as_image(spec)
        spec.description.input[0].type.imageType.width = 0

    cases = [(no_shape, False, 'input "x" has 0 dimensions'),
             (no_shape, True, 'input "x" has no shape'),
             (empty_entry, True, '"x" lists a shape without sizes'),
             (ranks, False, 'input "x" lists shapes of several ranks'),
             (empty_list, False, '"x" lists 0 shapes'),
             (default_outside, False, 'the default shape of "x" is none of those'),
             (short_range, False, 'the default shape of "x" is none of those'),
             (no_size, False, '"x" has a size of 0')]
    path = tmp_path / "net.mlmodel"
    for edit, exact, words in cases:
        path.write_bytes(relu_spec(edit, exact=exact).SerializeToString())
        told = refused(program, path, (1, 3, 8, 8), tmp_path)
        assert words in told and told.count("\n") == 1, (words, told)

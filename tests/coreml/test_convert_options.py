"""What the options of run-model convert make of a file: pixels, names, sizes, words."""

import json

import coremltools as ct
import numpy as np
import onnx
import pytest
import torch

from conftest import NETWORK_TOLERANCE
from reference import checkpoints, lstm, mobilenetv2

ENDINGS = [".mlmodel", ".mlpackage"]
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """y = x, of three planes."""
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    ports = [onnx.helper.make_tensor_value_info(n, 1, ["n", 3, 4, 5]) for n in "xy"]
    eye = np.eye(3, dtype=np.float32).reshape(3, 3, 1, 1)
    weights = [onnx.numpy_helper.from_array(eye, "w")]
    graph = onnx.helper.make_graph([node], "g", ports[:1], ports[1:], weights)
    path = tmp_path_factory.mktemp("plain") / "plain.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)]), path)
    return path


def planes(*numbers):
    return np.array(numbers, np.float32).reshape(1, 3, 1, 1)


IMAGES = {
    "as they are": ([], lambda p: p),
    "scale": (["--image-scale", "1/255"], lambda p: p / 255),
    "biases": (["--image-scale", "0.5", "--red-bias", 1, "--green-bias", 2, "--blue-bias", 3],
               lambda p: p * 0.5 + planes(1, 2, 3)),
    "blue first": (["--bgr", "--red-bias", 1, "--blue-bias", "x=3"], lambda p: p + planes(3, 0, 1)),
    "mean": (["--image-mean", "0.5,0.25,0", "--image-std", "0.5,1,2"],
             lambda p: (p / 255 - planes(0.5, 0.25, 0)) / planes(0.5, 1, 2)),
    "torchvision": (["--normalize", "torchvision"],
                    lambda p: (p / 255 - planes(*MEAN)) / planes(*STD)),
    "an output": (["--image-output", "y", "--image-scale", "y=2", "--red-bias", "y=1",
                   "--green-bias", "y=1", "--blue-bias", "y=1"], lambda p: p * 2 + 1),
}  # fmt: skip


def run(program, path, arrays, output, folder):
    arguments = ["exec", path]
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        arguments += ["--input", f"{name}={folder / name}.npy"]
    program.run(*arguments, "--output", f"{output}={folder}/out.npy")
    return np.load(folder / "out.npy")


@pytest.mark.parametrize("ending", ENDINGS)
def test_images(program, plain, tmp_path, ending):
    pixels = np.random.default_rng(1).integers(0, 256, (1, 3, 4, 5)).astype(np.float32)
    for name, (options, wanted) in IMAGES.items():
        path = tmp_path / f"out{ending}"
        program.run("convert", plain, "-o", path, "--image-input", "x", *options)
        spec = ct.models.utils.load_spec(str(path))
        space = spec.description.input[0].type.imageType.colorSpace
        assert space == ct.proto.FeatureTypes_pb2.ImageFeatureType.ColorSpace.Value(
            "BGR" if "--bgr" in options else "RGB"
        ), name
        got = run(program, path, {"x": pixels}, "y", tmp_path)
        assert np.allclose(got, wanted(pixels), rtol=1e-5, atol=1e-5), name


def test_colours_have_their_own_biases(program, plain, tmp_path):
    """Also of an image that stays blue first, as its source has it; and gray is none of three."""
    first, path = tmp_path / "first.mlmodel", tmp_path / "out.mlmodel"
    program.run("convert", plain, "-o", first, "--image-input", "x", "--bgr")
    pixels = np.random.default_rng(1).integers(0, 256, (1, 3, 4, 5)).astype(np.float32)
    program.run("convert", first, "-o", path, "--red-bias", 1, "--blue-bias", 3)
    got = run(program, path, {"x": pixels}, "y", tmp_path)
    assert np.allclose(got, pixels + planes(3, 0, 1), rtol=1e-5, atol=1e-5)
    program.run("convert", first, "-o", path, "--image-mean", "0.5,0.25,0")
    got = run(program, path, {"x": pixels}, "y", tmp_path)
    assert np.allclose(got, pixels / 255 - planes(0, 0.25, 0.5), rtol=1e-5, atol=1e-5)
    done = program.run("convert", first, "-o", path, "--gray-bias", 1, code=1)
    assert "--gray_bias: no image in gray is there for it" in done.stderr


def test_what_would_be_black_is_said(program, tmp_path, plain):
    done = program.run("convert", plain, "-o", tmp_path / "a.mlmodel", "--image-output", "y")
    assert "note: output y is an image of 0 to 255, and its largest value here is" in done.stderr
    done = program.run("convert", plain, "-o", tmp_path / "a.mlmodel", "--image-output", "y",
                       "--image-scale", "y=255")  # fmt: skip
    assert "black" not in done.stderr


@pytest.mark.parametrize("ending", ENDINGS)
def test_names_words_and_sizes(program, tmp_path, ending):
    model = lstm.random_classifier()
    weights = checkpoints.save_zip(checkpoints.state_of(model), tmp_path / "w.pth")
    path, words = tmp_path / f"out{ending}", {"author": "me", "license": "MIT"}
    options = [x for name, text in words.items() for x in (f"--{name}", text)]
    options += ["--description", "what it is", "--version-string", "3"]
    program.run("convert", "lstm", "-w", weights, "-o", path, "--input-name", "x", "--output-name",
                "my_output=linear_0", "--flexible", "x=1..4", *options)  # fmt: skip
    description = ct.models.utils.load_spec(str(path)).description
    assert [p.name for p in (*description.input, *description.output)] == ["x", "linear_0"]
    told = description.metadata
    assert (told.author, told.license, told.shortDescription, told.versionString) == (
        "me", "MIT", "what it is", "3")  # fmt: skip
    for batch in (1, 3):
        x = lstm.random_inputs(batch, 6, 1, 7)
        with torch.inference_mode():
            want = model.eval()(x)[0].numpy()
        got = run(program, path, {"x": x.numpy()}, "linear_0", tmp_path)
        assert np.abs(got - want).max() <= NETWORK_TOLERANCE * np.abs(want).max()


@pytest.mark.parametrize("ending", ENDINGS)
def test_classes(program, tmp_path, ending):
    model = mobilenetv2.random_mobilenetv2(0.25, 4)
    weights = checkpoints.save_zip(checkpoints.state_of(model), tmp_path / "w.pth")
    labels, path = tmp_path / "labels.txt", tmp_path / f"out{ending}"
    labels.write_text("crane\nship\ncrane\ncrane\n")
    arguments = ["convert", "mobilenetv2", "-w", weights, "-o", path, "--labels", labels, "--shape",
                 "image=1x3x64x64", "--predicted-feature-name", "bird"]  # fmt: skip
    done = program.run(*arguments)
    assert '2 classes have the name of another, "crane" (0 and 2) among them' in done.stderr
    done = program.run(*arguments, "--unique-labels")
    assert "crane" not in done.stderr
    assert "crane, ship, crane (2)" in program.run("info", path).stdout
    description = ct.models.utils.load_spec(str(path)).description
    assert description.predictedFeatureName == "bird"
    again = tmp_path / f"again{ending}"
    program.run("convert", path, "-o", again)
    kept = ct.models.utils.load_spec(str(again)).description
    assert [*kept.input, *kept.output] == [*description.input, *description.output]
    assert kept.predictedFeatureName == "bird"
    labels.write_text("crane\nship\n")
    done = program.run(*arguments, code=1)
    assert "names 2 classes, and the network has 4" in done.stderr
    labels.write_text("a\n\nb\nc\n")
    done = program.run(*arguments, code=1)
    assert "class 1 has no name" in done.stderr


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ["neuralnetwork", "mlprogram"])
def test_classes_that_are_numbers(program, tmp_path, kind, ending):
    """A label that is no place stays the number that it is, in both families."""
    numbers = [10, -7, 1 << 40]
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(1)).eval()
    x = np.random.default_rng(2).normal(size=(1, 4)).astype(np.float32)
    made = ct.convert(torch.jit.trace(net, torch.zeros(1, 4)), convert_to=kind,
                      inputs=[ct.TensorType(name="x", shape=(1, 4))],
                      classifier_config=ct.ClassifierConfig(numbers, "kind"))
    path = tmp_path / f"source{'.mlmodel' if kind == 'neuralnetwork' else '.mlpackage'}"
    again = tmp_path / f"again{ending}"
    made.save(str(path))
    assert "note: its classes" not in program.run("convert", path, "-o", again).stderr
    described = ct.models.utils.load_spec(str(again)).description
    assert described.predictedFeatureName == "kind"
    types = {o.name: o.type.WhichOneof("Type") for o in described.output}
    assert types == {"kind": "int64Type", described.predictedProbabilitiesName: "dictionaryType"}
    keys = [o.type.dictionaryType for o in described.output if o.name != "kind"]
    assert keys[0].WhichOneof("KeyType") == "int64KeyType"
    assert f"3 labels: {', '.join(map(str, numbers))}" in program.run("info", again).stdout
    program.run("check", again)
    label = run(program, again, {"x": x}, "kind", tmp_path)
    with torch.no_grad():
        assert label == numbers[int(net(torch.tensor(x)).argmax())]


@pytest.mark.parametrize("ending", ENDINGS)
def test_names_of_classes(program, tmp_path, ending):
    """What is taken, or no name of the format, is made fit and told."""
    weights = checkpoints.save_zip(checkpoints.state_of(lstm.random_classifier()),
                                   tmp_path / "w.pth")
    labels, path = tmp_path / "labels.txt", tmp_path / f"out{ending}"
    labels.write_text("a\nb\nc\n")
    for name, fit in [("seq_input", "seq_input_1"), ("my label", "my_label")]:
        done = program.run("convert", "lstm", "-w", weights, "-o", path, "--labels", labels,
                           "--predicted-feature-name", name)
        assert f'the output "{name}" is called "{fit}" in the file' in done.stderr
        assert ct.models.utils.load_spec(str(path)).description.predictedFeatureName == fit


def test_halves_are_tried_on_what_a_network_gets(program, tmp_path):
    """Pixels as they come normalised: of others the shipped network lost 1.9 % of 2 %."""
    done = program.run("convert", "mobilenetv2", "-o", tmp_path / "out.mlmodel", "--fp16", "--json")
    assert 0 < json.loads(done.stdout)["error"] < 4e-3


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_halves_lose_is_told(program, tmp_path, ending):
    """A weight and a bias that become 0, or infinite, which is no result."""
    for number, said in [(1e-9, "2 constants become 0"),
                         (1e6, "2 constants become infinite")]:
        node = onnx.helper.make_node("Conv", ["x", "w", "b"], ["y"])
        ports = [onnx.helper.make_tensor_value_info(n, 1, [1, 2, 4, 5]) for n in "xy"]
        weight = np.eye(2).reshape(2, 2, 1, 1) * [[[[1]]], [[[number]]]]
        weights = [onnx.numpy_helper.from_array(a.astype(np.float32), n)
                   for n, a in [("w", weight), ("b", np.array([1, number]))]]
        graph = onnx.helper.make_graph([node], "g", ports[:1], ports[1:], weights)
        source, path = tmp_path / "net.onnx", tmp_path / f"{number}{ending}"
        onnx.save(onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid("", 13)]), source)
        done = program.run("convert", source, "--fp16", "-o", path, code=0 if number < 1 else 1)
        assert f"note: in halves {said}" in done.stderr
        assert path.exists() == (number < 1)


def size_of(path):
    return sum(p.stat().st_size for p in [path, *path.rglob("*")] if p.is_file())


@pytest.mark.parametrize("option,most", [
    ("--fp16", 0.55), ("--quantize=int8", 0.35), ("--palettize=8", 0.35), ("--palettize=4", 0.25)
])  # fmt: skip
@pytest.mark.parametrize("ending", ENDINGS)
def test_fewer_bits(program, tmp_path, ending, option, most):
    """The file is smaller, and the error is told."""
    model = mobilenetv2.random_mobilenetv2(0.5, 17)
    weights = checkpoints.save_zip(checkpoints.state_of(model), tmp_path / "w.pth")
    arguments = ["convert", "mobilenetv2", "-w", weights, "--shape", "image=1x3x64x64"]
    path = tmp_path / f"out{ending}"
    program.run(*arguments, "-o", path)
    whole = size_of(path)
    done = program.run(*arguments, "-o", path, option)
    assert size_of(path) < most * whole
    assert "largest error 0.0e+00" not in done.stdout


# ---- names and sizes of ONNX files -------------------------------------------------------------


def sum_file(folder, shapes):
    helper = onnx.helper

    def values(items):
        return [helper.make_tensor_value_info(n, 1, s) for n, s in items]

    (name, shape), *_ = shapes.items()
    graph = helper.make_graph([helper.make_node("Sum", list(shapes), ["y:0"])], "g",
                              values(shapes.items()), values([("y:0", shape)]))  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
              folder / "net.onnx")  # fmt: skip
    return folder / "net.onnx"


@pytest.mark.parametrize("kind", ["mlpackage", "mlmodel"])
def test_names_are_made_fit(program, tmp_path, kind):
    """As TensorFlow's are, with a colon; those that are asked for are not changed."""
    source = sum_file(tmp_path, {"serving:0": [2, 3], "state": [2, 3]})
    out = tmp_path / f"o.{kind}"
    done = program.run("convert", source, "-o", out)
    for own, there in (("serving:0", "serving_0"), ("state", "state_"), ("y:0", "y_0")):
        assert f"note: {own} is called {there} in the file" in done.stderr
    description = ct.utils.load_spec(str(out)).description
    assert [i.name for i in description.input] == ["serving_0", "state_"]
    assert [o.name for o in description.output] == ["y_0"]
    other = ["--output-name", "y:0=state", "--input-name", "state=b"]
    done = program.run("convert", source, "-o", tmp_path / f"p.{kind}", *other, code=1)
    assert '"state" cannot be the name of y:0' in done.stderr


def test_sizes_of_one_name(program, tmp_path):
    source = sum_file(tmp_path, {"a": ["n", 1, "t"], "b": [1, "n", 5], "c": [1, 1, "t"]})
    out = tmp_path / "o.mlpackage"
    program.run("convert", source, "-o", out, "--shape", "a=4x1x5")
    inputs = ct.utils.load_spec(str(out)).description.input
    assert [list(i.type.multiArrayType.shape) for i in inputs] == [[4, 1, 5], [1, 4, 5], [1, 1, 5]]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_sequence_that_the_file_leaves_open_is_1(program, tmp_path, ending):
    """An embedding has the sequence in front of the one number that the file tells."""
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    words = np.random.default_rng(0).standard_normal((5, 3)).astype("f")
    made = NeuralNetworkBuilder([("x", datatypes.Array(1))], [("y", None)])
    made.add_embedding("e", words, None, 3, 5, False, "x", "t")
    made.add_permute("p", (2, 1, 0, 3), "t", "y")
    made.spec.specificationVersion = 1
    ct.models.utils.save_spec(made.spec, str(tmp_path / "e.mlmodel"))
    done = program.run("convert", tmp_path / "e.mlmodel", "-o", tmp_path / f"f{ending}")
    assert "leaves sizes of the input x open: it is written for 1x1x1" in done.stderr
    x = np.array([[[2]]], "f")
    got = run(program, tmp_path / f"f{ending}", {"x": x}, "y", tmp_path)
    np.testing.assert_array_equal(got.ravel(), words[:, 2])
    done = program.run("convert", tmp_path / "e.mlmodel", "-o", tmp_path / f"g{ending}", "--shape",
                       "x=4x1x1")
    assert "leaves sizes" not in done.stderr

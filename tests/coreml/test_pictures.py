"""Pictures as inputs and outputs of `exec`, and what it tells of classifiers: Core ML files that
say so, built-in networks that do by custom, and ONNX files, which need --values."""

import json

import numpy as np
import onnx
import pytest
from PIL import Image

pytest.importorskip("coremltools")

from coreml_run import ct  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder  # noqa: E402

COLORS = {"gray": 10, "RGB": 20, "BGR": 30}
HEIGHT, WIDTH = 6, 8


def planes_of(colors):
    return 1 if colors == "gray" else 3


def network(path, takes, gives, activation=("LINEAR", [1.0, 0.0]), planes=None, **scale):
    """A file that gives back what it takes; `takes` and `gives` are colours, or "" for an array."""
    count = planes or planes_of(takes or gives)
    array = datatypes.Array(count, HEIGHT, WIDTH)
    builder = NeuralNetworkBuilder([("x", array)], [("y", array)],
                                   disable_rank5_shape_mapping=False)
    builder.add_activation("last", activation[0], "x", "y", activation[1] or None)
    for port, colors in ((builder.spec.description.input[0], takes),
                         (builder.spec.description.output[0], gives)):
        if colors:
            image = port.type.imageType
            image.width, image.height, image.colorSpace = WIDTH, HEIGHT, COLORS[colors]
    if scale:
        builder.set_pre_processing_parameters(image_input_names=["x"], **scale)
    ct.models.utils.save_spec(builder.spec, str(path))
    return path


def pixels(mode="RGB", size=(WIDTH, HEIGHT), seed=0):
    shape = size[::-1] + ((len(mode),) if mode != "L" else ())
    data = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    return Image.fromarray(data, mode)


def as_planes(image, colors):
    if colors == "gray":
        return np.asarray(image.convert("L"), np.float32)[None, None]
    data = np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1)
    return (data if colors == "RGB" else data[::-1])[None]


@pytest.mark.parametrize("colors", COLORS)
def test_levels_in_the_order_of_the_file(program, tmp_path, colors):
    path = network(tmp_path / "n.mlmodel", colors, "")
    for mode in ("RGB", "L", "RGBA", "LA"):
        image = pixels(mode)
        image.save(tmp_path / "in.png")
        (tmp_path / "in.npy").write_bytes((tmp_path / "in.png").read_bytes())
        for name in ("in.png", "in.npy"):  # what a file holds counts, not what it is called
            program.run("exec", path, "--input", f"x={tmp_path / name}",
                        "--output", f"y={tmp_path / 'y.npy'}")
            got = np.load(tmp_path / "y.npy")
            np.testing.assert_array_equal(got.reshape(1, -1, HEIGHT, WIDTH),
                                          as_planes(image, colors))
    image.convert("RGB").save(tmp_path / "in.jpg", subsampling=0)
    program.run("exec", path, "--input", f"x={tmp_path / 'in.jpg'}",
                "--output", f"y={tmp_path / 'y.npy'}")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy").reshape(1, -1, HEIGHT, WIDTH),
                                  as_planes(Image.open(tmp_path / "in.jpg"), colors))
    deep = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "in.png")
    program.run("exec", path, "--input", f"x={tmp_path / 'in.png'}",
                "--output", f"y={tmp_path / 'y.npy'}")
    assert (np.load(tmp_path / "y.npy").reshape(-1, HEIGHT, WIDTH) == deep >> 8).all()


@pytest.mark.parametrize("colors", ["RGB", "BGR"])
def test_scale_and_biases(program, tmp_path, colors):
    path = network(tmp_path / "n.mlmodel", colors, "", image_scale=0.5, red_bias=-1, green_bias=-2,
                   blue_bias=-3, is_bgr=colors == "BGR")
    image = pixels()
    image.save(tmp_path / "in.png")
    program.run("exec", path, "--input", f"x={tmp_path / 'in.png'}",
                "--output", f"y={tmp_path / 'y.npy'}")
    bias = np.float32([-1, -2, -3] if colors == "RGB" else [-3, -2, -1]).reshape(3, 1, 1)
    want = as_planes(image, colors)[0] * 0.5 + bias
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy").reshape(want.shape), want)


def test_other_sizes_are_scaled_when_asked(program, tmp_path):
    path = network(tmp_path / "n.mlmodel", "RGB", "RGB")
    image = pixels(size=(21, 17))
    image.save(tmp_path / "photo.png")
    arguments = ["exec", path, "--input", f"x={tmp_path / 'photo.png'}",
                 "--output", f"y={tmp_path / 'y.png'}"]
    done = program.run(*arguments, code=1)
    assert done.stderr == (f"run-model exec: input x is an image of 8x6; {tmp_path / 'photo.png'} "
                           "is 21x17; --resize scales it\n")
    assert not (tmp_path / "y.png").exists()
    program.run(*arguments, "--resize")
    want = image.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "y.png")), np.asarray(want))


@pytest.mark.parametrize("takes", COLORS)
@pytest.mark.parametrize("gives", COLORS)
def test_pictures_are_given_back(program, tmp_path, takes, gives):
    if planes_of(takes) != planes_of(gives):
        network(tmp_path / "n.mlmodel", takes, gives)
        done = program.run("exec", tmp_path / "n.mlmodel", "--input", "x=x", "--output", "y=y",
                           code=1)
        assert '"y" is an image of ' in done.stderr
        return
    image = pixels("L" if takes == "gray" else "RGB")
    image.save(tmp_path / "in.png")
    program.run("exec", network(tmp_path / "n.mlmodel", takes, gives),
                "--input", f"x={tmp_path / 'in.png'}", "--output", f"y={tmp_path / 'out.png'}")
    got, want = np.asarray(Image.open(tmp_path / "out.png")), np.asarray(image)
    np.testing.assert_array_equal(got, want if takes == gives else want[..., ::-1])


@pytest.mark.parametrize("gives", COLORS)
def test_levels_are_rounded_and_cut(program, tmp_path, gives):
    values = np.zeros((planes_of(gives), HEIGHT, WIDTH), np.float32)
    values[:, 0] = [-3, 0.5, 1.5, 2.5, 254.5, 255.5, 3e9, np.nan]
    values[-1, 1] = [-np.inf, np.inf, 0.49, 0.51, 127.5, 128.5, 254.51, 7]
    np.save(tmp_path / "x.npy", values)
    program.run("exec", network(tmp_path / "n.mlmodel", "", gives),
                "--input", f"x={tmp_path / 'x.npy'}", "--output", f"y={tmp_path / 'y.png'}")
    want = np.clip(np.rint(np.nan_to_num(values, nan=0, posinf=255, neginf=0)), 0, 255)
    want = want[::-1] if gives == "BGR" else want
    got = np.asarray(Image.open(tmp_path / "y.png")).reshape(HEIGHT, WIDTH, -1)
    np.testing.assert_array_equal(got, want.transpose(1, 2, 0))


def test_arrays_are_no_pictures(program, tmp_path):
    path = network(tmp_path / "n.mlmodel", "", "", planes=5)
    pixels().save(tmp_path / "in.png")
    np.save(tmp_path / "x.npy", np.zeros((5, HEIGHT, WIDTH), np.float32))
    done = program.run("exec", path, "--input", f"x={tmp_path / 'in.png'}", "--output", "y=y.npy",
                       code=1)
    assert "input x is no image" in done.stderr
    done = program.run("exec", path, "--input", f"x={tmp_path / 'x.npy'}",
                       "--output", f"y={tmp_path / 'y.png'}", code=1)
    assert "nothing says that output y is an image" in done.stderr
    assert not (tmp_path / "y.png").exists()


BLACK = [("SIGMOID", []), ("TANH", []), ("SIGMOID_HARD", [0.2, 0.5])]


@pytest.mark.parametrize("activation", BLACK + [("RELU", [])], ids=lambda a: a[0])
def test_black_pictures_are_told(program, tmp_path, activation):
    path = network(tmp_path / "n.mlmodel", "RGB", "RGB", activation)
    pixels().save(tmp_path / "in.png")
    told = program.run("info", path).stdout
    done = program.run("exec", path, "--input", f"x={tmp_path / 'in.png'}",
                       "--output", f"y={tmp_path / 'y.png'}")
    is_black = activation in BLACK
    assert ("warning: y is an image" in told) == is_black
    assert ("warning: output y is an image" in done.stderr) == is_black
    assert ('"black":true' in program.run("info", path, "--json").stdout) == is_black


# ---- networks whose files say nothing ----------------------------------------------------------


def test_built_in_networks_say_what_their_images_are(program, tmp_path, ffdnet_weights):
    image = pixels(size=(11, 9))
    image.save(tmp_path / "in.png")
    np.save(tmp_path / "x.npy", as_planes(image, "RGB") / np.float32(255))
    base = ["exec", "ffdnet", "--weights", ffdnet_weights, "--input", "sigma=0.1"]
    program.run(*base, "--input", f"image={tmp_path / 'in.png'}",
                "--output", f"denoised={tmp_path / 'y.png'}")
    program.run(*base, "--input", f"image={tmp_path / 'x.npy'}",
                "--output", f"denoised={tmp_path / 'y.npy'}")
    want = np.clip(np.rint(np.load(tmp_path / "y.npy")[0] * np.float32(255)), 0, 255)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "y.png")),
                                  want.transpose(1, 2, 0))


@pytest.fixture
def ffdnet_weights(tmp_path):
    import torch

    from reference import ffdnet

    torch.save(ffdnet.random_ffdnet(width=8, depth=3).state_dict(), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_onnx_files_need_to_be_told(program, tmp_path):
    ports = [[onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])]
             for n in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", *ports)
    onnx.save(onnx.helper.make_model(graph, ir_version=9,
                                     opset_imports=[onnx.helper.make_opsetid("", 17)]),
              tmp_path / "n.onnx")
    image = pixels()
    image.save(tmp_path / "in.png")
    base = ["exec", tmp_path / "n.onnx", "--input", f"x={tmp_path / 'in.png'}", "--output"]
    done = program.run(*base, f"y={tmp_path / 'y.npy'}", code=1)
    assert "--values" in done.stderr and "input x" in done.stderr
    levels = as_planes(image, "RGB").astype(np.float64)
    mean, deviation = np.array([1, 2, 3]).reshape(3, 1, 1), np.array([4, 5, 6]).reshape(3, 1, 1)
    for how, want in (("raw", levels), ("unit", levels / 255), ("signed", levels / 128 - 1),
                      ("1,2,3/4,5,6", (levels - mean) / deviation)):
        program.run(*base, f"y={tmp_path / 'y.npy'}", "--values", how)
        np.testing.assert_allclose(np.load(tmp_path / "y.npy"), want, rtol=1e-6, atol=1e-6)
        program.run(*base, f"y={tmp_path / 'y.png'}", "--values", how)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "y.png")), image)
    assert "MEAN/DEVIATION" in program.run(*base, "y=y.npy", "--values", "odd", code=2).stderr


# ---- numbers -----------------------------------------------------------------------------------


def test_numbers_of_the_command_line(program, tmp_path):
    builder = NeuralNetworkBuilder([("x", datatypes.Array(4))], [("y", datatypes.Array(4))],
                                   disable_rank5_shape_mapping=True)
    builder.add_activation("last", "LINEAR", "x", "y", [2.0, 1.0])
    ct.models.utils.save_spec(builder.spec, str(tmp_path / "n.mlmodel"))

    def run(numbers, code=0):
        done = program.run("exec", tmp_path / "n.mlmodel", "--input", f"x={numbers}",
                           "--output", f"y={tmp_path / 'y.npy'}", code=code)
        return done.stderr if code else np.load(tmp_path / "y.npy").tolist()

    assert run("1,-2.5,3e1,4") == [3, -4, 61, 9]
    assert run("7") == [15] * 4  # as bench takes it
    assert "3 numbers do not fill input x" in run("1,2,3", code=1)
    assert "1,2,3,x: cannot open" in run("1,2,3,x", code=1)


def onnx_copy(path, dtype, shape):
    """A file that gives back what it takes."""
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    ports = [onnx.helper.make_tensor_value_info(n, dtype, shape) for n in "xy"]
    graph = onnx.helper.make_graph([node], "g", ports[:1], ports[1:])
    opsets = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


@pytest.mark.parametrize("dtype,fits,bad", [("UINT8", "0,255", "256,-1,2.5,nan"),
                                            ("INT64", "-5,9e15", "1e30,0.5,inf"),
                                            ("BOOL", "0,1", "2,-1")])
def test_numbers_that_do_not_fit(program, tmp_path, dtype, fits, bad):
    path = onnx_copy(tmp_path / "n.onnx", getattr(onnx.TensorProto, dtype), ["n"])
    arguments = ["exec", path, "--output", f"y={tmp_path / 'y.npy'}", "--input"]
    program.run(*arguments, f"x={fits}")
    got = np.load(tmp_path / "y.npy").astype(float)
    np.testing.assert_array_equal(got, [float(number) for number in fits.split(",")])
    for number in bad.split(","):
        assert "cannot be that" in program.run(*arguments, f"x=1,{number}", code=1).stderr


def test_no_numbers_for_nothing(program, tmp_path):
    path = onnx_copy(tmp_path / "n.onnx", onnx.TensorProto.FLOAT, [0, 300])
    numbers = ",".join(["1"] * 300)
    for given in (numbers, "1"):
        done = program.run("exec", path, "--input", f"x={given}", "--output", "y=y.npy", code=1)
        assert "do not fill input x" in done.stderr


def test_inputs_that_are_given_twice(program, tmp_path):
    """One would be written into the room that is planned for the other."""
    path = onnx_copy(tmp_path / "n.onnx", onnx.TensorProto.FLOAT, ["n"])
    np.save(tmp_path / "x.npy", np.zeros((500, 1), np.float32))
    out = ["--output", f"y={tmp_path / 'y.npy'}"]
    for first, more in ((",".join(["1"] * 500), []), (tmp_path / "x.npy", ["--steps"])):
        done = program.run("exec", path, "--input", f"x={first}", "--input", "x=1", *out, *more,
                           code=1)
        assert "input x is given twice" in done.stderr


def test_steps_are_no_pictures(program, tmp_path):
    path = onnx_copy(tmp_path / "n.onnx", onnx.TensorProto.FLOAT, [3, 4, 4])
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 4, 4), np.float32))
    done = program.run("exec", path, "--steps", "--input", f"x={tmp_path / 'x.npy'}", "--output",
                       f"y={tmp_path / 'y.png'}", code=1)
    assert "no picture" in done.stderr and not (tmp_path / "y.png").exists()


# ---- classifiers -------------------------------------------------------------------------------


def classifier(path, labels):
    """Scores are the four elements of x."""
    builder = NeuralNetworkBuilder([("x", datatypes.Array(4))], [("scores", datatypes.Array(4))],
                                   mode="classifier", disable_rank5_shape_mapping=True)
    builder.add_activation("last", "LINEAR", "x", "scores", [1.0, 0.0])
    builder.set_class_labels(labels, predicted_feature_name="kind",
                             prediction_blob="scores")
    ct.models.utils.save_spec(builder.spec, str(path))
    return path


@pytest.mark.parametrize("labels", [["a cat", "b,\"q\"", "c\n\x1b", "d\u00e9"], [30, -1, 7, 2]],
                         ids=["texts", "numbers"])
def test_labels_and_scores(program, tmp_path, labels):
    path = classifier(tmp_path / "n.mlmodel", labels)
    texts = [str(label).replace("\n", "?").replace("\x1b", "?") for label in labels]
    done = program.run("exec", path, "--input", "x=0.1,0.4,0.2,0.3", "--top", 3)
    assert done.stdout == (f"kind {texts[1]}\nscores 0.4 {texts[1]}\nscores 0.3 {texts[3]}\n"
                           f"scores 0.2 {texts[2]}\n")
    done = program.run("exec", path, "--input", "x=0.1,0.4,0.2,0.3", "--json",
                       "--output", f"scores={tmp_path / 's.npy'}",
                       "--output", f"kind={tmp_path / 'k.npy'}")
    told = json.loads(done.stdout)
    assert told["label"] == texts[1] and len(told["classes"]) == 4
    assert [c["class"] for c in told["classes"]] == [1, 3, 2, 0]
    assert [c["label"] for c in told["classes"]] == [texts[i] for i in (1, 3, 2, 0)]
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), np.float32([0.1, 0.4, 0.2, 0.3]))
    assert np.load(tmp_path / "k.npy") == (labels[1] if isinstance(labels[0], int) else 1)
    told = program.run("info", path)
    assert f"4 labels: {texts[0]}, {texts[1]}, {texts[2]}, ...\n" in told.stdout
    ports = json.loads(program.run("info", path, "--json").stdout)["outputs"]
    assert all(p["labels"] == 4 and p["first_labels"] == texts[:3] for p in ports)


def test_other_files_need_an_output(program, tmp_path):
    path = network(tmp_path / "n.mlmodel", "", "", planes=5)
    done = program.run("exec", path, "--input", "x=1", code=2)
    assert "the result would be lost" in done.stderr

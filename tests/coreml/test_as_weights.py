"""Core ML files as weights of our own networks: what a network of the .pth makes, the file makes,
whatever numbers its images have."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import ct  # noqa: E402

from conftest import NETWORK_TOLERANCE, ROOT  # noqa: E402
from reference import clips, ffdnet, lstm, mobilenetv2, wav2lip  # noqa: E402

KINDS = ["neuralnetwork", 5]
HEIGHT, WIDTH = 48, 64
LABELS = [f"thing {i}" for i in range(10)]
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


def file_of(folder, net, arrays, kind, **settings):
    return coreml_run.network_file(folder, net, arrays, kind, **settings)[0]


def near(got, want):
    np.testing.assert_allclose(got, want, rtol=0, atol=NETWORK_TOLERANCE * np.abs(want).max())


def save_pixels(path, *shape, seed=0):
    data = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    Image.fromarray(data).save(path)
    return path


def as_another(source, target, edit):
    """The file with its description changed."""
    spec = ct.models.utils.load_spec(str(source))
    edit(spec)
    ct.models.utils.save_spec(spec, str(target))
    return target


# ---- FFDNet ------------------------------------------------------------------------------------


class FixedFFDNet(nn.Module):
    """The reference in operations that coremltools converts; results are 0..255 as pictures are."""

    def __init__(self, net, turned):
        super().__init__()
        self.net, self.turned = net, turned

    def forward(self, image, sigma):
        """What is turned takes and gives BGR: the network wants RGB."""
        _, c, h, w = image.shape
        image = image.flip(1) if self.turned else image
        blocks = image.reshape(c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3)
        x = blocks.reshape(1, 4 * c, h // 2, w // 2)
        level = sigma.view(1, 1, 1, 1).expand(1, self.net.planes, h // 2, w // 2)
        x = self.net.layers(torch.cat([level, x] if self.net.residual else [x, level], 1))
        x = x.reshape(c, 2, 2, h // 2, w // 2).permute(0, 3, 1, 4, 2).reshape(1, c, h, w)
        x = (image - x if self.net.residual else x) * 255
        return x.flip(1) if self.turned else x


@pytest.fixture(scope="module", params=[(3, "RGB", "neuralnetwork"), (3, "BGR", 5), (1, "L", 5)],
                ids=lambda p: f"{p[1]} {p[2]}")
def denoiser(request, tmp_path_factory):
    """Weights, and the file made of them: images in and out."""
    channels, mode, kind = request.param
    folder = tmp_path_factory.mktemp("ffdnet")
    net = ffdnet.random_ffdnet("ipol" if channels == 3 else "author", channels, 8, 4)
    torch.save(net.state_dict(), folder / "net.pth")
    layout = {"RGB": ct.colorlayout.RGB, "BGR": ct.colorlayout.BGR,
              "L": ct.colorlayout.GRAYSCALE}[mode]
    made = FixedFFDNet(net, turned=mode == "BGR")
    image = ct.ImageType(name="my_input", shape=(1, channels, HEIGHT, WIDTH), scale=1 / 255,
                         color_layout=layout)
    arrays = {"my_input": np.zeros((1, channels, HEIGHT, WIDTH), np.float32),
              "my_sigma": np.zeros(1, np.float32)}
    path = file_of(folder, made, arrays, kind,
                   inputs=[image, ct.TensorType(name="my_sigma", shape=(1,))],
                   outputs=[ct.ImageType(name="my_output", color_layout=layout)])
    return folder / "net.pth", path, channels


def test_denoises_as_its_weights(program, tmp_path, denoiser):
    weights, path, channels = denoiser
    picture = save_pixels(tmp_path / "in.png", HEIGHT, WIDTH, *[3] * (channels == 3))
    for name, which in (("a.png", weights), ("b.png", path)):
        program.run("ffdnet", picture, "--sigma", 25, "--weights", which, "-o", tmp_path / name)
    a, b = (np.asarray(Image.open(tmp_path / n)).astype(int) for n in ("a.png", "b.png"))
    assert np.abs(a - b).max() <= 1 and (a != b).mean() < 1e-3  # at the edge of rounding
    arrays = {"image": np.random.default_rng(1).random((1, channels, HEIGHT, WIDTH), np.float32),
              "sigma": np.float32([0.1])}
    got = [program.exec("ffdnet", which, arrays, ["denoised"], tmp_path)[0]
           for which in (path, weights)]
    near(*got)
    # and as the guide runs the file itself
    program.run("exec", path, "--input", f"my_input={picture}", "--input", f"my_sigma={25 / 255}",
                "--output", f"my_output={tmp_path / 'c.png'}")
    c = np.asarray(Image.open(tmp_path / "c.png")).astype(int)
    assert np.abs(a - c).max() <= 1 and (a != c).mean() < 1e-3


@pytest.mark.parametrize("target", ["ios12", "ios13"])
@pytest.mark.parametrize("images", [True, False])
def test_denoises_as_the_weights_it_was_written_from(program, tmp_path, target, images):
    """Also where a list is described as channels, of which it has one."""
    weights, path = tmp_path / "net.pth", tmp_path / "net.mlmodel"
    torch.save(ffdnet.random_ffdnet("ipol", 3, 8, 4).state_dict(), weights)
    ports = ["--image-input", "my_input", "--image-output", "my_output"] if images else []
    program.run("convert", "ffdnet", "-w", weights, "-o", path, "--target", target, "--shape",
                f"my_input=1x3x{HEIGHT}x{WIDTH}", *ports)  # fmt: skip
    picture = save_pixels(tmp_path / "in.png", HEIGHT, WIDTH, 3)
    for name, which in (("a.png", weights), ("b.png", path)):
        program.run("ffdnet", picture, "--sigma", 25, "--weights", which, "-o", tmp_path / name)
    a, b = (np.asarray(Image.open(tmp_path / n)).astype(int) for n in ("a.png", "b.png"))
    assert np.abs(a - b).max() <= 1 and (a != b).mean() < 1e-3  # at the edge of rounding
    program.run("compare", weights, path)


def test_fixed_sizes_are_told(program, tmp_path, denoiser):
    _, path, channels = denoiser
    picture = save_pixels(tmp_path / "in.png", 40, 60, *[3] * (channels == 3))
    done = program.run("ffdnet", picture, "--sigma", 25, "--weights", path, code=1)
    assert f"(1,{channels},{HEIGHT},{WIDTH}) only" in done.stderr
    assert "40 rows and 60 columns" in done.stderr
    short = save_pixels(tmp_path / "odd.png", HEIGHT - 1, WIDTH - 1, *[3] * (channels == 3))
    program.run("ffdnet", short, "--sigma", 25, "--weights", path, "-o", tmp_path / "out.png")


# ---- MobileNetV2 -------------------------------------------------------------------------------


class Normalised(nn.Module):
    """Takes 0..1, gives probabilities, as the guide's network."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return torch.softmax(self.net.logits((image - MEAN) / DEVIATION), 1)


@pytest.fixture(scope="module", params=KINDS)
def pictures_classifier(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mobilenetv2")
    net = mobilenetv2.random_mobilenetv2(width=0.25, classes=len(LABELS))
    torch.save(net.state_dict(), folder / "net.pth")
    image = ct.ImageType(name="image", shape=(1, 3, 64, 64), scale=1 / 255)
    arrays = {"image": np.zeros((1, 3, 64, 64), np.float32)}
    path = file_of(folder, Normalised(net), arrays, request.param, inputs=[image],
                   classifier_config=ct.ClassifierConfig(LABELS))
    return net, folder / "net.pth", path


def classes(program, *arguments):
    done = program.run("mobilenetv2", *arguments, "--json", "--top", len(LABELS))
    answers = [json.loads(line)["classes"] for line in done.stdout.splitlines()]
    return answers, [[c["probability"] for c in sorted(a, key=lambda c: c["class"])]
                     for a in answers]


def test_classifies_as_its_weights(program, tmp_path, pictures_classifier):
    _, weights, path = pictures_classifier
    pictures = [save_pixels(tmp_path / f"{i}.png", 90, 70 + i, 3, seed=i) for i in range(3)]
    answers, got = classes(program, *pictures, "--weights", path)
    _, want = classes(program, *pictures, "--weights", weights, "--size", 64)
    near(np.array(got), np.array(want))
    assert all(c["label"] == LABELS[c["class"]] for a in answers for c in a)
    # and as the guide runs the file itself
    told = program.run("exec", path, "--input", f"image={pictures[0]}", "--resize").stdout
    _, stretched = classes(program, pictures[0], "--weights", path, "--stretch")
    best = int(np.argmax(stretched))
    assert told.splitlines()[0] == f"classLabel {LABELS[best]}"
    score, label = told.splitlines()[1].split(" ", 2)[1:]
    assert label == LABELS[best]
    near(float(score), max(stretched[0]))
    (tmp_path / "own.txt").write_text("\n".join(f"own {i}" for i in range(10)))
    answers, _ = classes(program, pictures[0], "--weights", path, "--labels",
                         tmp_path / "own.txt")
    assert answers[0][0]["label"].startswith("own ")
    x = torch.randn(1, 3, 64, 64).numpy()
    near(*[program.exec("mobilenetv2", w, {"image": x}, ["classLabelProbs"], tmp_path)[0]
           for w in (path, weights)])


def test_levels_as_the_file_takes_them(program, tmp_path, pictures_classifier):
    """BGR, a scale and biases of the file's own; and none, as the guide has it."""
    net, _, path = pictures_classifier
    picture = save_pixels(tmp_path / "in.png", 64, 64, 3)
    levels = torch.tensor(np.asarray(Image.open(picture))).permute(2, 0, 1)[None].float()
    done = program.run("mobilenetv2", picture, "--weights", path, "--values", "raw", code=1)
    assert "says itself what its image takes" in done.stderr
    if path.suffix != ".mlmodel":
        return

    def edit(spec):
        spec.description.input[0].type.imageType.colorSpace = 30
        scaler = spec.neuralNetworkClassifier.preprocessing[0].scaler
        scaler.channelScale = 1 / 128
        scaler.redBias, scaler.greenBias, scaler.blueBias = 0.1, 0.2, 0.3

    changed = as_another(path, tmp_path / "bgr.mlmodel", edit)
    bias = torch.tensor([0.3, 0.2, 0.1]).view(1, 3, 1, 1)
    with torch.no_grad():
        want = Normalised(net)(levels.flip(1) / 128 + bias).numpy()
    _, got = classes(program, picture, "--weights", changed, "--stretch")
    near(np.array(got), want)
    plain = as_another(path, tmp_path / "plain.mlmodel",
                       lambda spec: spec.neuralNetworkClassifier.ClearField("preprocessing"))
    with torch.no_grad():
        want = Normalised(net)(levels).numpy()
    _, got = classes(program, picture, "--weights", plain, "--stretch")
    near(np.array(got), want)


# ---- LSTM --------------------------------------------------------------------------------------


class Scores(nn.Module):
    def __init__(self, net, probabilities):
        super().__init__()
        self.net, self.probabilities = net, probabilities

    def forward(self, x):
        y = self.net(x)[0]
        return torch.softmax(y, 1) if self.probabilities else y


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("probabilities", [False, True])
def test_sequences_as_the_weights(program, tmp_path, kind, probabilities):
    net = lstm.random_classifier(hidden=6)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    config = {"classifier_config": ct.ClassifierConfig([7, 8, 9])} if probabilities else {}
    arrays = {"x": np.zeros((1, 6, 1), np.float32)}
    path, outputs, _ = coreml_run.network_file(tmp_path, Scores(net, probabilities), arrays, kind,
                                               **config)

    def told(weights):
        return json.loads(program.run("lstm", 1, 2, 3, 4, 5, 6, "--weights", weights, "--json")
                          .stdout)["classes"]

    got, want = told(path), told(tmp_path / "net.pth")
    assert [c["class"] for c in got] == [c["class"] for c in want]
    near(np.array([c["probability"] for c in got]), np.array([c["probability"] for c in want]))
    assert [c["label"] for c in got] == [str(c["class"] + 7) if probabilities else None
                                         for c in got]
    # and as the guide runs the file itself
    if not probabilities:
        numbers = program.run("exec", path, "--input", "x=1,2,3,4,5,6", "--output",
                              f"{outputs[0]}={tmp_path / 'y.npy'}") and np.load(tmp_path / "y.npy")
        with torch.no_grad():
            near(numbers, net(torch.arange(1.0, 7).view(1, 6, 1))[0].numpy())
    assert "takes sequences of 6 steps, not 5" in program.run(
        "lstm", 1, 2, 3, 4, 5, "--weights", path, code=1).stderr


def told_classes(program, weights, *numbers):
    """Probabilities of the classes in their order, and the labels."""
    done = program.run("lstm", *numbers, "--weights", weights, "--json")
    told = sorted(json.loads(done.stdout)["classes"], key=lambda c: c["class"])
    return np.array([c["probability"] for c in told]), [c["label"] for c in told]


@pytest.mark.parametrize("target", ["ios12", "ios13", "ios15", "ios16", "ios17", "ios18"])
@pytest.mark.parametrize("layers,inputs", [(1, 1), (2, 3)])
@pytest.mark.parametrize("named", [False, True])
def test_sequences_as_the_weights_it_was_written_from(program, tmp_path, target, layers, inputs,
                                                      named):  # fmt: skip
    """Also where sequence and batch lie in front of the shape that is described."""
    suffix = "mlmodel" if target in ("ios12", "ios13") else "mlpackage"
    weights, path = tmp_path / "net.pth", tmp_path / f"net.{suffix}"
    net = lstm.random_classifier(inputs=inputs, hidden=6, layers=layers, classes=4)
    torch.save(net.state_dict(), weights)
    (tmp_path / "labels.txt").write_text("one\ntwo\nthree\nfour\n")
    classifier = ["--mode", "classifier", "--labels", tmp_path / "labels.txt"] if named else []
    program.run("convert", "lstm", "-w", weights, "-o", path, "--target", target, "--shape",
                f"seq_input=1x5x{inputs}", *classifier)  # fmt: skip
    numbers = np.random.default_rng(3).integers(-3, 4, 5 * inputs)
    got, labels = told_classes(program, path, *numbers)
    near(got, told_classes(program, weights, *numbers)[0])
    assert labels == (["one", "two", "three", "four"] if named else [None] * 4)
    program.run("compare", weights, path)
    assert "takes sequences of 5 steps, not 4" in program.run(
        "lstm", *numbers[: 4 * inputs], "--weights", path, code=1).stderr  # fmt: skip


class StepsFirst(nn.Module):
    """The same network of sequences (T,N,I), as LSTMs of PyTorch are by default."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x.transpose(0, 1))[0]


@pytest.mark.parametrize("kind", KINDS)
def test_sequences_with_the_steps_in_front(program, tmp_path, kind):
    net = lstm.random_classifier(inputs=2, hidden=6, classes=4)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    path, _, _ = coreml_run.network_file(tmp_path, StepsFirst(net),
                                         {"x": np.zeros((6, 1, 2), np.float32)}, kind)  # fmt: skip
    near(told_classes(program, path, *range(12))[0],
         told_classes(program, tmp_path / "net.pth", *range(12))[0])  # fmt: skip


def test_each_step_as_a_class_is_refused(program, tmp_path):
    """Rows of steps are none of sequences."""

    class Steps(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, x):
            return self.net.fc(self.net.lstm(x)[0])

    net = Steps(lstm.random_classifier(inputs=2, hidden=6))
    path, _, _ = coreml_run.network_file(tmp_path, net,
                                         {"x": np.zeros((1, 6, 2), np.float32)}, 5)  # fmt: skip
    done = program.run("lstm", *range(12), "--weights", path, code=1)
    assert "and this network has my_output (?,3)" in done.stderr


@pytest.mark.parametrize("steps", [1, 4, 60])
@pytest.mark.parametrize("layers", [1, 2])
def test_sequences_of_the_oldest_files(program, tmp_path, layers, steps):
    """Steps lie along an axis of their own there, in front of the batch, and any number will do."""
    from coremltools.models.neural_network import NeuralNetworkBuilder

    net = lstm.random_classifier(inputs=2, hidden=6, layers=layers, classes=4)
    state = {name: array.numpy() for name, array in net.state_dict().items()}
    torch.save(net.state_dict(), tmp_path / "net.pth")
    array = ct.models.datatypes.Array
    builder = NeuralNetworkBuilder([("x", array(2))], [("y", array(4))],
                                   disable_rank5_shape_mapping=False)  # fmt: skip

    def gates(name):  # i, f, g, o there, i, f, o, g here
        i, f, g, o = np.split(state[f"lstm.{name}"], 4)
        return [i, f, o, g]

    below = "x"
    for k in range(layers):
        bias = [a + b for a, b in zip(gates(f"bias_ih_l{k}"), gates(f"bias_hh_l{k}"))]
        builder.add_unilstm(f"lstm{k}", gates(f"weight_hh_l{k}"), gates(f"weight_ih_l{k}"), bias,
                            6, 6 if k else 2, [below], [f"h{k}"],
                            output_all=k + 1 < layers)  # fmt: skip
        below = f"h{k}"
    builder.add_inner_product("fc", state["fc.weight"], state["fc.bias"], 6, 4, True, below, "y")
    assert builder.spec.specificationVersion == 1
    path = tmp_path / "net.mlmodel"
    ct.models.utils.save_spec(builder.spec, str(path))
    numbers = np.random.default_rng(steps).integers(-9, 10, 2 * steps)
    near(told_classes(program, path, *numbers)[0],
         told_classes(program, tmp_path / "net.pth", *numbers)[0])  # fmt: skip
    rows = np.random.default_rng(7).integers(-9, 10, (5, 2 * steps))
    (tmp_path / "rows.csv").write_text("\n".join(",".join(map(str, r)) for r in rows) + "\n")
    got, want = (
        [[c["probability"] for c in sorted(json.loads(line)["classes"], key=lambda c: c["class"])]
         for line in program.run("lstm", "--input", tmp_path / "rows.csv", "--weights", which,
                                 "--json").stdout.splitlines()]
        for which in (path, tmp_path / "net.pth"))  # fmt: skip
    near(np.array(got), np.array(want))
    program.run("compare", tmp_path / "net.pth", path)


# ---- Wav2Lip -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_speaks_as_its_weights(program, tmp_path, kind):
    net = wav2lip.random_wav2lip(1 / 16)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    inputs = wav2lip.random_inputs(1, 1)
    arrays = dict(zip(["audio_sequences", "face_sequences"], (t.numpy() for t in inputs)))
    path = file_of(tmp_path, net, arrays, kind)
    near(program.wav2lip(path, inputs, tmp_path),
         program.wav2lip(tmp_path / "net.pth", inputs, tmp_path))
    if kind == 5:  # files of one face serve batches of them
        face = save_pixels(tmp_path / "face.png", 120, 120, 3)
        frames = []
        for name, weights in (("a.mkv", path), ("b.mkv", tmp_path / "net.pth")):
            program.run("wav2lip", "--face", face, "--audio", ROOT / "data/demo/voice.wav",
                        "--checkpoint_path", weights, "--box", 10, 110, 10, 110,
                        "--outfile", tmp_path / name, "--codec", "ffv1", "--fps", 10)
            frames.append(np.array(clips.read_video(tmp_path / name)).astype(int))
        assert np.abs(frames[0] - frames[1]).max() <= 1


@pytest.mark.parametrize("target", ["ios12", "ios13", "ios15", "ios16", "ios17", "ios18"])
@pytest.mark.parametrize("network", ["wav2lip", "mobilenetv2"])
def test_works_as_the_weights_it_was_written_from(program, tmp_path, network, target):
    suffix = "mlmodel" if target in ("ios12", "ios13") else "mlpackage"
    weights, path = tmp_path / "net.pth", tmp_path / f"net.{suffix}"
    speaks = network == "wav2lip"
    net = wav2lip.random_wav2lip(1 / 16) if speaks else mobilenetv2.random_mobilenetv2(0.25, 10)
    torch.save(net.state_dict(), weights)
    program.run("convert", network, "-w", weights, "-o", path, "--target", target)
    if speaks:
        inputs = wav2lip.random_inputs(1, 1)
        near(program.wav2lip(path, inputs, tmp_path), program.wav2lip(weights, inputs, tmp_path))
    else:
        picture = save_pixels(tmp_path / "in.png", 90, 70, 3)
        near(*(np.array(classes(program, picture, "--weights", w)[1]) for w in (path, weights)))
    program.run("compare", weights, path)
    program.run("convert", path, "-o", tmp_path / "again.onnx")
    for pair in ((weights, tmp_path / "again.onnx"), (tmp_path / "again.onnx", weights)):
        program.run("compare", *pair)

"""Networks that a new face passes on its way into the picture: what is in front of it stays, and
a restorer changes the mask alone."""

import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from conftest import Network
from reference import clips, faces_file, wav2lip

WIDTH, HEIGHT, COUNT = 160, 120, 5
BOX = (10, 106, 30, 126)  # top bottom left right
HAND = 84  # from this column on
COLOUR = [0.3, 0.5, 0.7]  # blue green red


def picture(index):
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH]
    image = np.stack([110 + 50 * np.sin(xx / (17 + c) + index / 3) * np.cos(yy / (19 - c))
                      for c in range(3)], axis=2).round().astype(np.uint8)  # fmt: skip
    image[:, HAND:] = (240, 40, 30)
    return image


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    folder = tmp_path_factory.mktemp("film")
    codec = ["-c:v", "ffv1", "-pix_fmt", "bgr0"]
    return clips.write_video(folder / "film.mkv", [picture(i) for i in range(COUNT)], 25, codec)


@pytest.fixture(scope="module")
def constant(tmp_path_factory):
    net = wav2lip.Wav2Lip(1 / 16).eval()
    with torch.no_grad():
        net.output_block[1].weight.zero_()
        net.output_block[1].bias.copy_(torch.logit(torch.tensor(COLOUR)))
    return Network(net, tmp_path_factory.mktemp("constant")).file("zip")


@pytest.fixture
def run(program, voices, constant, film, tmp_path):
    def go(*arguments, name="out.mkv", code=0):
        out = tmp_path / name
        box = () if "--faces" in arguments else ("--box", *BOX)
        done = program.run(
            *["wav2lip", "--face", film, "--audio", voices(COUNT / 25), "--outfile", out],
            *["--checkpoint_path", constant, "--codec", "ffv1", *box, *arguments],
            code=code,
        )
        if code:
            assert not out.exists()
            return done.stderr
        return np.stack(clips.read_video(out)).astype(int)

    return go


def save(path, nodes, inputs, outputs, constants=()):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "made",
        [value(n, t, s) for n, t, s in inputs],
        [value(n, TensorProto.FLOAT, s) for n, s in outputs],
        [onnx.numpy_helper.from_array(np.asarray(a), n) for n, a in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def occluder(path, shape, axis, channel, level):
    """1 where one channel lies below a level."""
    out = list(shape)
    out[axis] = 1
    nodes = [
        helper.make_node("Gather", ["x", "channel"], ["one"], axis=axis),
        helper.make_node("Less", ["one", "level"], ["less"]),
        helper.make_node("Cast", ["less"], ["mask"], to=TensorProto.FLOAT),
    ]
    constants = [("channel", np.array([channel])), ("level", np.float32(level))]
    return save(path, nodes, [("x", TensorProto.FLOAT, shape)], [("mask", out)], constants)


@pytest.mark.parametrize(
    "shape, axis, channel, level, how",
    [
        ([1, 128, 128, 3], 3, 0, 0.8, None),  # blue, as XSeg takes it
        ([1, 3, "h", "w"], 1, 2, 0.6, "rgb,signed"),
        ([1, 3, 96, 64], 1, 2, 200.0, "rgb,raw"),
    ],
)
def test_hand_stays(run, tmp_path, shape, axis, channel, level, how):
    path = occluder(tmp_path / "occluder.onnx", shape, axis, channel, level)
    source = np.stack([picture(i) for i in range(COUNT)]).astype(int)
    plain = run("--mask", "box", name="plain.mkv")
    more = ["--occluder_input", how] if how else []
    got = run("--mask", "box", "--occluder", path, *more)
    y1, y2, x1, x2 = BOX
    assert np.array_equal(got[:, :, HAND:], source[:, :, HAND:])
    assert np.array_equal(got[:, :, : HAND - 6], plain[:, :, : HAND - 6])
    inside = np.s_[:, y1 + 12 : y2 - 12, x1 + 12 : HAND - 6]
    assert np.abs(got - source)[inside].mean() > 1
    assert np.abs(plain - source)[:, y1 + 12 : y2 - 12, HAND + 2 : x2 - 12].mean() > 1


def test_what_is_no_occluder(run, tmp_path):
    classes = save(tmp_path / "classes.onnx",
                   [helper.make_node("Concat", ["x"] * 3, ["y"], axis=1)],
                   [("x", TensorProto.FLOAT, [1, 3, 64, 64])], [("y", [1, 9, 64, 64])])  # fmt: skip
    told = run("--occluder", classes, code=1)
    assert "classes.onnx: the occluder gives (1,9,64,64)" in told and "several classes" in told
    words = save(tmp_path / "words.onnx", [helper.make_node("Identity", ["x"], ["y"])],
                 [("x", TensorProto.FLOAT, [1, 7])], [("y", [1, 7])])  # fmt: skip
    told = run("--occluder", words, code=1)
    assert "would have to have an input f32 of (1,3,height,width)" in told
    assert "'yuv'" in run("--occluder", words, "--occluder_input", "yuv", code=2)
    assert "--occluder_input is for" in run("--occluder_input", "rgb", code=2)
    assert "--compat" in run("--occluder", words, "--compat", code=2)


def restorer(path, shape, nodes, more=(), constants=()):
    """From x to y, both of one shape."""
    inputs = [("x", TensorProto.FLOAT, shape), *more]
    return save(path, nodes, inputs, [("y", shape)], constants)


def test_identity_changes_nothing(run, tmp_path):
    path = restorer(tmp_path / "same.onnx", [1, 3, 512, 512],
                    [helper.make_node("Identity", ["x"], ["y"])])  # fmt: skip
    plain = run("--mask", "mouth", name="plain.mkv")
    assert np.array_equal(run("--mask", "mouth", "--enhance", path), plain)


SPOT = (0.45, 0.72)  # of the square: a little left of the middle of the template's mouth


def spot(folder, side):
    """A restorer that makes one place of its square brighter, whose first output is no picture."""
    yy, xx = (np.mgrid[0:side, 0:side] + 0.5) / side
    light = 0.8 * np.exp(-((xx - SPOT[0]) ** 2 + (yy - SPOT[1]) ** 2) / (2 * 0.03**2))
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["style"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "light"], ["y"]),
    ]
    shape = [1, 3, side, side]
    constants = [("light", light.astype(np.float32).reshape(1, 1, side, side))]
    return save(folder / "spot.onnx", nodes, [("x", TensorProto.FLOAT, shape)],
                [("style", [4]), ("y", shape)], constants)  # fmt: skip


def spot_in(run, path, *where):
    """Where the brightest place has come to: x, y of its middle."""
    where = ["--mask", "box", "--feather", "0", "--no_colour_match", *where]
    plain = run(*where, name="plain.mkv")
    change = (run(*where, "--enhance", path) - plain).sum(axis=(0, 3)).astype(float)
    change[change < change.max() / 4] = 0
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    return np.array([(xx * change).sum(), (yy * change).sum()]) / change.sum()


def test_square_of_the_box(run, tmp_path):
    """Eyes and mouth of a box are 0.34 of its height apart, 0.256 in the template."""
    y1, y2, x1, x2 = BOX
    side = (y2 - y1) * 0.34 / 0.256
    left, top = (x1 + x2) / 2 - 0.501 * side, y1 + 0.71 * (y2 - y1) - 0.725 * side
    want = (left + SPOT[0] * side, top + SPOT[1] * side)
    assert np.abs(spot_in(run, spot(tmp_path, 128)) - want).max() < 0.75


@pytest.mark.parametrize("degrees, side, net", [(0, 110, 128), (30, 100, 96), (-70, 60, 256)])
def test_square_of_the_marks(run, film, tmp_path, degrees, side, net):
    """The template, turned and scaled: the spot is turned with it."""
    template = np.array([[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41],
                         [313.09, 371.15]]) / 512  # fmt: skip
    angle = np.deg2rad(degrees)
    turn = side * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corner = np.array([80.0, 58.0]) - turn @ template.mean(axis=0)
    marks = (template @ turn.T + corner).ravel().tolist()
    y1, y2, x1, x2 = BOX
    faces = faces_file.write_boxes(tmp_path / "faces.json", film, [(x1, y1, x2, y2)] * COUNT,
                                   (WIDTH, HEIGHT), 25)  # fmt: skip
    told = json.loads(faces.read_text())
    for record in told["faces"]:
        record["marks"] = marks
    faces.write_text(json.dumps(told))
    got = spot_in(run, spot(tmp_path, net), "--faces", faces)
    assert np.abs(got - (turn @ SPOT + corner)).max() < 0.75


@pytest.mark.parametrize("box", [BOX, (0, 120, 20, 140), (40, 119, 0, 30)])
def test_constant_is_the_mask(run, tmp_path, box):
    """As the network's own constant, whose colours it replaces; also where the square around the
    face leaves the picture. Beside the box's edge, where film and new face meet, the square has
    less detail than the picture."""
    levels = np.float32([0.7, 0.5, 0.3]).reshape(1, 3, 1, 1) * 2 - 1  # COLOUR as RGB
    nodes = [
        helper.make_node("Mul", ["x", "zero"], ["none"]),
        helper.make_node("Add", ["none", "levels"], ["y"]),
    ]
    constants = [("zero", np.float32(0)), ("levels", levels)]
    path = restorer(tmp_path / "constant.onnx", [1, 3, "h", "w"], nodes, (), constants)
    y1, y2, x1, x2 = box
    where = ["--mask", "lower", "--no_colour_match", "--box", *box]
    plain = run(*where, name="plain.mkv")
    got = run(*where, "--enhance", path)
    off = np.abs(got - plain)
    assert off[:, y1 : y2 - 3, x1 + 3 : x2 - 3].max() <= 1 and off.max() <= 4
    source = np.stack([picture(i) for i in range(COUNT)]).astype(int)
    outside = np.ones(got.shape[1:3], bool)
    outside[(y1 + y2) // 2 : y2, x1:x2] = False
    assert np.array_equal(got[:, outside], source[:, outside])
    assert np.abs(got - source)[:, ~outside].mean() > 5


@pytest.mark.parametrize("dtype", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_weight(run, tmp_path, dtype):
    """y = weight in all colours, given as unit levels in BGR pixels."""
    nodes = [
        helper.make_node("Cast", ["weight"], ["w"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["x", "zero"], ["none"]),
        helper.make_node("Add", ["none", "w"], ["y"]),
    ]
    path = restorer(tmp_path / "weight.onnx", [1, 128, 192, 3], nodes, [("weight", dtype, [1])],
                    [("zero", np.float32(0))])  # fmt: skip
    got = run("--mask", "box", "--feather", "0", "--no_colour_match", "--enhance", path,
              "--enhance_input", "bgr,unit", "--enhance_weight", "0.25")  # fmt: skip
    y1, y2, x1, x2 = BOX
    assert np.abs(got[:, y1 + 3 : y2 - 3, x1 + 3 : x2 - 3] - 0.25 * 255).max() <= 1


def test_what_is_no_restorer(run, tmp_path):
    mask = occluder(tmp_path / "mask.onnx", [1, 3, 64, 64], 1, 0, 0.5)
    told = run("--enhance", mask, code=1)
    assert "the restorer gives (1,1,64,64) for a picture of 64x64" in told
    twice = restorer(tmp_path / "two.onnx", [1, 3, 64, 64],
                     [helper.make_node("Add", ["x", "z"], ["y"])],
                     [("z", TensorProto.FLOAT, [1, 3, 64, 64])])  # fmt: skip
    assert "beside it at most single numbers" in run("--enhance", twice, code=1)
    nan = restorer(tmp_path / "nan.onnx", [1, 3, 64, 64], [helper.make_node("Sqrt", ["x"], ["y"])])
    assert "not finite" in run("--enhance", nan, code=1)
    assert "--compat" in run("--enhance", nan, "--compat", code=2)
    assert "--enhance_input is for" in run("--enhance_input", "rgb", code=2)

"""Networks that a new face passes on its way into the picture: what is in front of it stays."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from conftest import Network
from reference import clips, wav2lip

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
        done = program.run(
            *["wav2lip", "--face", film, "--audio", voices(COUNT / 25), "--outfile", out],
            *["--checkpoint_path", constant, "--codec", "ffv1", "--box", *BOX, *arguments],
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

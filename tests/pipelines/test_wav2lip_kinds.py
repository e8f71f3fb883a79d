"""`wav2lip` with the generators for 128 to 384 pixels against upstream's steps with the same one:
size of the crop, mask, and what levels are follow the checkpoint."""

import numpy as np
import pytest

from conftest import Network
from reference import clips, exports, pipeline, wav2lip_kinds

INSIDE_LEVELS, INSIDE_MEAN = 3, 0.05  # as in test_compat_wav2lip.py
BOX = (20, 110, 40, 130)
WIDTH = 1 / 16


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scene")
    frames = [clips.picture(i, face=clips.moving_face(i)) for i in range(4)]
    face = clips.write_video(folder / "face.mkv", frames, "25")
    return face, frames, clips.write_voice(folder / "voice.wav", 0.5)


def network(name, folder):
    return Network(wav2lip_kinds.random_generator(name, WIDTH), folder)


def make(program, scene, weights, folder, *arguments, code=0):
    face, _, voice = scene
    return program.run(
        *["wav2lip", "--compat", "--codec", "ffv1", "--face", face, "--audio", voice, "--quiet"],
        *["--box", *BOX, "--checkpoint_path", weights, "--outfile", folder / "out.mkv"],
        *arguments, code=code,
    )  # fmt: skip


def compare(scene, model, pictures, folder):
    _, frames, voice = scene
    options = pipeline.Options(box=BOX)
    expected = pipeline.run(model, frames, voice, options, 25.0, pictures=pictures)
    result = clips.read_video(folder / "out.mkv")
    assert len(result) == len(expected.frames) > 4
    y1, y2, x1, x2 = BOX
    for got, want in zip(result, expected.frames):
        inside = np.abs(got.astype(int) - want)[y1:y2, x1:x2]
        assert inside.max() <= INSIDE_LEVELS and inside.mean() <= INSIDE_MEAN
        assert np.array_equal(got[:y1], want[:y1])


@pytest.mark.parametrize(
    "name, signed, config",
    [
        ("nota128", False, None),
        ("256", False, None),
        ("288-prelu", False, None),
        ("sam8-192", False, '{"side": 192}'),
        ("sam9", False, None),  # tanh, whose negative numbers are black
        ("leaky384", True, None),
        ("leaky384", False, '{"pictures": "unit"}'),
    ],
)
def test_kind(program, scene, tmp_path, name, signed, config):
    net = network(name, tmp_path)
    more = ["--checkpoint_config", config] if config else []
    make(program, scene, net.file("zip"), tmp_path, *more)
    pictures = pipeline.Pictures(wav2lip_kinds.KINDS[name].side, signed)
    compare(scene, net.model, pictures, tmp_path)


@pytest.mark.parametrize("name", ["256", "leaky384"])
def test_onnx(program, scene, tmp_path, name):
    """One face a run. A file that ends in tanh does not tell what its pictures are."""
    net = network(name, tmp_path)
    kind = wav2lip_kinds.KINDS[name]
    inputs = wav2lip_kinds.random_inputs(kind, 1, seed=3)
    made = exports.Example(net.model, inputs, inputs, ["source", "target"], ["output"])
    path = exports.export(made, tmp_path / "w.onnx", 15, dynamo=False)
    more = []
    if kind.tanh:
        done = make(program, scene, path, tmp_path, code=1)
        assert "w.onnx: the network ends in tanh" in done.stderr and "signed" in done.stderr
        assert not (tmp_path / "out.mkv").exists()
        more = ["--checkpoint_config", '{"pictures": "signed"}']
    make(program, scene, path, tmp_path, *more)
    compare(scene, net.model, pipeline.Pictures(kind.side, kind.tanh), tmp_path)

"""Tilted heads are upright for the network: drawn heads whose mouths are known, the shipped
weights. The mouth is read, as in test_lipsync_mouth.py, by a regression that has learned it from
drawn frames of the same head; for that the result is turned back."""

import sys

import numpy as np
import pytest
import soundfile
from conftest import ROOT

from reference import clips, demo_voice, tilt
from reference.faces_file import write_boxes

sys.path.insert(0, str(ROOT / "tools" / "training"))
import evaluate_wav2lip as drawn  # noqa: E402
import scenes  # noqa: E402

SIZE, FPS, COUNT = 144, 25, 45
WEIGHTS = ROOT / "data" / "weights" / "wav2lip.safetensors"
TRUTH = demo_voice.opening(0, COUNT)


def draw(mouths):
    return scenes.clip(np.random.default_rng([3, 33]), mouths, (SIZE, SIZE), FPS, 0.5 * SIZE)


class Head:
    def __init__(self):
        rng = np.random.default_rng(8)
        known = [np.column_stack([rng.permutation(np.linspace(0, 1, COUNT)),
                                  rng.uniform(-1, 1, COUNT)]) for _ in range(2)]
        shown = [draw(mouths) for mouths in known]
        self.frames, self.boxes = shown[0]
        pixels = np.concatenate([drawn.mouth_pixels(*clip) for clip in shown])
        self.read = drawn.learn_opening(pixels, np.concatenate(known)[:, 0])


@pytest.fixture(scope="module")
def head():
    return Head()


@pytest.fixture(scope="module")
def opening(program, head, tmp_path_factory):
    """opening(degrees, arguments): how far the mouth is open in each frame of the result."""
    folder = tmp_path_factory.mktemp("tilted")
    made = {}
    soundfile.write(folder / "voice.wav", demo_voice.samples(0, COUNT), demo_voice.RATE)

    def run(degrees, *arguments):
        key = (degrees, *arguments)
        if key in made:
            return made[key]
        turn = tilt.matrix(degrees, (SIZE / 2, SIZE / 2))
        back = tilt.matrix(-degrees, (SIZE / 2, SIZE / 2))
        face = folder / f"face{len(made)}.mkv"
        clips.write_video(face, [tilt.turn_picture(turn, f) for f in head.frames], FPS,
                          ["-c:v", "ffv1", "-pix_fmt", "bgr0"])
        marks = [tilt.turn_points(turn, tilt.marks_of(b)) for b in head.boxes]
        boxes = [tilt.turn_box(turn, b) for b in head.boxes]
        write_boxes(folder / f"{len(made)}.json", face, boxes, (SIZE, SIZE), FPS, marks)
        out = folder / f"out{len(made)}.mkv"
        program.run("wav2lip", "--face", face, "--audio", folder / "voice.wav", "--faces",
                    folder / f"{len(made)}.json", "--checkpoint_path", WEIGHTS, "--codec", "ffv1",
                    "--silence", "net", "--outfile", out, *arguments)
        frames = [tilt.turn_picture(back, f) for f in clips.read_video(out)[:COUNT]]
        made[key] = head.read(drawn.mouth_pixels(frames, head.boxes[:len(frames)]))
        return made[key]

    return run


@pytest.mark.parametrize("degrees", [20, 45, -90])
def test_a_tilted_head_speaks_as_an_upright_one(opening, degrees):
    upright, tilted = (np.corrcoef(opening(d), TRUTH)[0, 1] for d in (0, degrees))
    print(upright, tilted)
    assert upright > 0.6 and tilted > upright - 0.05
    assert np.corrcoef(opening(degrees), opening(0))[0, 1] > 0.95


def test_without_it_the_network_sees_a_tilted_head(opening):
    assert np.corrcoef(opening(45, "--no_upright"), opening(0))[0, 1] < 0.9

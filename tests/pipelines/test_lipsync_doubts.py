"""What the report of a lip-sync run names as doubtful: no face, faces that do not fit, jumps of the
box, strong seams."""

import json

import numpy as np
import pytest
import torch

from conftest import Network
from reference import clips, faces_file, tilt, wav2lip

WIDTH, HEIGHT, COUNT, FPS = 160, 120, 12, 25
FILM = [0.4, 0.45, 0.5]  # blue green red of all its pixels
BOX = (30, 10, 110, 106)  # x1 y1 x2 y2


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Gray but for the four frames from the fifth on, which are of another shot."""
    frames = [np.tile(np.round(np.array(FILM) * 255).astype(np.uint8), (HEIGHT, WIDTH, 1))
              for _ in range(COUNT)]  # fmt: skip
    for i in range(4, 8):
        frames[i] = 255 - frames[i] // 2
    codec = ["-c:v", "ffv1", "-pix_fmt", "bgr0"]
    return clips.write_video(tmp_path_factory.mktemp("film") / "film.mkv", frames, FPS, codec)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Networks whose faces are of one colour, by how many levels they miss that of the film."""

    def make(levels):
        net = wav2lip.Wav2Lip(1 / 16).eval()
        with torch.no_grad():
            net.output_block[1].weight.zero_()
            net.output_block[1].bias.copy_(torch.logit(torch.tensor(FILM) + levels / 255))
        return Network(net, tmp_path_factory.mktemp("constant")).file("zip")

    return {levels: make(levels) for levels in (6, 14)}


@pytest.fixture
def run(program, voices, film, networks, tmp_path):
    def go(levels, boxes, *arguments, marks=None):
        faces = faces_file.write_boxes(tmp_path / "faces.json", film, boxes, (WIDTH, HEIGHT), FPS,
                                       marks)
        done = program.run(
            *["wav2lip", "--face", film, "--audio", voices(COUNT / FPS), "--faces", faces],
            *["--checkpoint_path", networks[levels], "--outfile", tmp_path / "out.mp4"],
            *["--json", *arguments],
        )
        found = [(d["why"], round(d["from"] * FPS), round(d["to"] * FPS))
                 for d in json.loads(done.stdout)["doubtful"]]  # fmt: skip
        return sorted(found), done.stderr

    return go


def moved(x, y, grow=0):
    return (BOX[0] + x, BOX[1] + y, BOX[2] + x + grow, BOX[3] + y + grow)


def test_nothing(run):
    """A slow walk, and a jump where the picture is cut."""
    boxes = [moved(i, i // 2) for i in range(4)] + [moved(45, 10)] * 4 + [moved(2, 0)] * 4
    found, told = run(6, boxes)
    assert all(why == "strong seam" for why, _, _ in found)  # of the other shot
    assert "jump" not in told and "no face" not in told


def test_each(run):
    boxes = [moved(0, 0)] * COUNT
    boxes[1] = boxes[2] = moved(30, 0)  # there and back: 50 of 110 columns are in both
    boxes[6] = boxes[7] = None
    boxes[10] = boxes[11] = (60, 40, 110, 100)  # smaller from here on
    found, told = run(14, boxes)
    assert found == [("jump", 1, 2), ("jump", 3, 4), ("jump", 10, 11), ("no face", 6, 8),
                     ("strong seam", 0, 6), ("strong seam", 8, 12)]  # fmt: skip
    assert "no face in 2 of 12 frames, which were left as they are: 0.240-0.320 s\n" in told
    assert "jump in 3 of 12 frames: 0.040-0.080 s, 0.120-0.160 s, 0.400-0.440 s\n" in told
    assert "strong seam in 10 of 12 frames: 0.000-0.240 s, 0.320-0.480 s\n" in told


def test_seams_are_measured(run):
    """6 levels are usual, 14 are not; the other shot differs by more than either."""
    boxes = [moved(0, 0)] * COUNT
    assert run(6, boxes)[0] == [("strong seam", 4, 8)]
    assert run(14, boxes)[0] == [("strong seam", 0, 12)]
    assert run(14, boxes, "--no_colour_match")[0] == []
    assert "seam" not in run(14, boxes, "--quiet")[1]


def test_an_outlier_is_mended(run):
    boxes = [moved(0, 0)] * COUNT
    boxes[2], boxes[10] = moved(30, 5), moved(-20, 0, 40)
    assert not any(why == "jump" for why, _, _ in run(6, boxes)[0])


def test_faces_that_do_not_fit_are_left(run, film, tmp_path):
    """Turned away, too small and cut off: the frames pass, and the mouth fades before and after."""
    boxes, marks = [moved(0, 0)] * COUNT, [tilt.marks_of(BOX)] * COUNT
    profile = tilt.marks_of(BOX)
    profile[2, 0] = profile[0, 0] - 8  # the nose is left of both eyes
    marks[0] = profile
    boxes[6] = boxes[7] = (BOX[0], BOX[1], BOX[0] + 12, BOX[1] + 14)
    marks[6] = marks[7] = tilt.marks_of(boxes[6])
    marks[11] = tilt.marks_of(BOX) + [0, HEIGHT]
    out = tmp_path / "out.mkv"
    found, told = run(14, boxes, "--outfile", out, "--codec", "ffv1", "--no_colour_match",
                      "--silence", "net", marks=marks)
    assert [f for f in found if f[0] != "jump"] == [
        ("cut off", 11, 12), ("too small", 6, 8), ("turned away", 0, 1)]  # fmt: skip
    assert "turned away in 1 of 12 frames, which were left as they are: 0.000-0.040 s\n" in told
    change = [np.abs(got.astype(int) - want).max() for got, want in
              zip(clips.read_video(out), clips.read_video(film), strict=True)]
    assert [c == 0 for c in change] == [i in (0, 6, 7, 11) for i in range(COUNT)]
    assert change[1] < change[2] < change[3] and change[8] > change[9] > change[10]

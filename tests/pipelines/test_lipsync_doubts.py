"""What the report of a lip-sync run names as doubtful: no face, jumps of the box, strong seams."""

import json

import numpy as np
import pytest
import torch

from conftest import Network
from reference import clips, faces_file, wav2lip

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
    def go(levels, boxes, *arguments):
        faces = faces_file.write_boxes(tmp_path / "faces.json", film, boxes, (WIDTH, HEIGHT), FPS)
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
    boxes[1] = moved(30, 0)  # there and back: 50 of 110 columns are in both
    boxes[6] = boxes[7] = None
    boxes[10] = boxes[11] = (60, 40, 110, 100)  # smaller from here on
    found, told = run(14, boxes)
    assert found == [("jump", 1, 3), ("jump", 10, 11), ("no face", 6, 8),
                     ("strong seam", 0, 6), ("strong seam", 8, 12)]  # fmt: skip
    assert "no face in 2 of 12 frames, which were left as they are: 0.240-0.320 s\n" in told
    assert "jump in 3 of 12 frames: 0.040-0.120 s, 0.400-0.440 s\n" in told
    assert "strong seam in 10 of 12 frames: 0.000-0.240 s, 0.320-0.480 s\n" in told


def test_seams_are_measured(run):
    """6 levels are usual, 14 are not; the other shot differs by more than either."""
    boxes = [moved(0, 0)] * COUNT
    assert run(6, boxes)[0] == [("strong seam", 4, 8)]
    assert run(14, boxes)[0] == [("strong seam", 0, 12)]
    assert run(14, boxes, "--no_colour_match")[0] == []
    assert "seam" not in run(14, boxes, "--quiet")[1]

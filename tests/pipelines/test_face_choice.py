"""`--which`: of several faces the one that is named speaks, and no other changes."""

import json

import cv2
import numpy as np
import pytest

from conftest import json_lines
from reference import clips

COUNT, WIDTH, HEIGHT = 10, 480, 240


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    return clips.write_voice(tmp_path_factory.mktemp("voice") / "voice.wav", COUNT / 25)


@pytest.fixture(scope="module")
def places():
    """Three faces; the one in the middle is the largest, and comes 0.12 s later."""
    return [(20, 30, 100), (160, 60, 150), (350, 90, 90)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory, shared_data, places):
    folder = shared_data / "media/faces"
    if not folder.exists():
        pytest.skip("needs media/faces in the shared test data")
    frames = []
    for i in range(COUNT):
        frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        for k, (x, y, side) in enumerate(places):
            face = cv2.imread(str(folder / f"face_0{1 + k}.png"))
            if k != 1 or i >= 3:
                frame[y : y + side, x + 2 * i : x + 2 * i + side] = cv2.resize(
                    face, (side, side), interpolation=cv2.INTER_AREA)
        frames.append(frame)
    return clips.write_video(tmp_path_factory.mktemp("three") / "in.mkv", frames, 25), frames


@pytest.fixture
def speaks(lipsync, voice, shared_data, clip, places, tmp_path):
    """speaks(options): for each frame which of the faces changed."""
    yunet = shared_data / "onnx/yunet_n_dynamic.onnx"
    if not yunet.exists():
        pytest.skip("needs yunet_n_dynamic.onnx in the shared test data")

    def run(*options, code=0):
        # The crop of a tilted head reaches out of the picture that its face was taken from.
        out, done = lipsync(clip[0], voice, "--detector", yunet, "--codec", "ffv1", "--json",
                            "--no_upright", *options, code=code)
        if code:
            return done
        spoke = []
        for i, (a, b) in enumerate(zip(clips.read_video(out)[:COUNT], clip[1])):
            changed = np.abs(a.astype(int) - b).max(2) > 0
            # A box that is turned with a tilted face reaches out of its tile.
            parts = [changed[y - 8 : y + side + 8, x + 2 * i - 8 : x + 2 * i + side + 8]
                     for x, y, side in places]
            spoke.append([k for k, part in enumerate(parts) if part.any()])
            assert changed.sum() == sum(part.sum() for part in parts)
        return spoke, json_lines(done.stdout)[0]

    return run


@pytest.mark.parametrize("which, face, first", [
    ("left", 0, 0), ("right", 2, 0), ("largest", 0, 0), ("1", 0, 0), ("2", 2, 0), ("3", 1, 3),
    ("at:395,130", 2, 0), ("at:240,140@0.2", 1, 3), ("at:80,90@0.32", 0, 0),
])
def test_one_of_three(speaks, which, face, first):
    spoke, report = speaks("--which", which)
    assert spoke == [[]] * first + [[face]] * (COUNT - first)
    assert report["frames_without_face"] >= first


def test_a_file_holds_all_and_may_be_corrected(speaks, clip, tmp_path):
    record = tmp_path / "faces.json"
    once, _ = speaks("--which", "at:240,140@0.2", "--faces", record)
    document = json.loads(record.read_text())
    assert document["format"] == "run-model faces 2"
    numbers = [(face["frame"], face["number"]) for face in document["faces"]]
    assert sorted(numbers) == sorted([(i, n) for i in range(COUNT) for n in (1, 2)] +
                                     [(i, 3) for i in range(3, COUNT)])
    text = record.read_text()
    again, _ = speaks("--which", "3", "--faces", record)
    assert again == once and record.read_text() == text
    # The user gives the first face another number, and takes the third away.
    document["faces"] = [face for face in document["faces"] if face["number"] != 3]
    for face in document["faces"]:
        face["number"] = {1: 8, 2: 2}[face["number"]]
    record.write_text(json.dumps(document))
    assert speaks("--which", "8", "--faces", record)[0] == [[0]] * COUNT
    done = speaks("--which", "3", "--faces", record, code=1)
    words = "no face has the number 3: 2 are seen in 10 frames, and the highest number is 8"
    assert words in done.stderr


def test_refused(speaks, tmp_path):
    for which, words, code in [
        ("9", "no face has the number 9: 3 are seen in 10 frames, and the highest number is 3", 1),
        ("at:5,5", "no face is at 5,5 in the frame of 0.000 s", 1),
        ("at:600,5", "at:600,5 lies outside the picture of 480x240", 1),
        ("at:240,140@7", "at:240,140@7 points behind the end: the video has 10 frames", 1),
        ("both", "--which is largest, left, right, a number from 1 on, or at:X,Y[@SECONDS]", 2),
    ]:
        done = speaks("--which", which, code=code)
        assert words in done.stderr and done.stderr.count("\n") <= 2
        assert not (tmp_path / "out.mkv").exists()
    done = speaks("--which", "left", "--compat", code=2)
    assert "--compat finds faces as the original does" in done.stderr
    done = speaks("--which", "left", "--box", 1, 50, 1, 50, code=2)
    assert "--box and --which both say which face" in done.stderr

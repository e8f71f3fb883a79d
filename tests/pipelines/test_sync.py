"""`run-model sync` against the measure in Python, and what it refuses."""

import csv
import io
import json
import subprocess

import numpy as np
import pytest

from conftest import json_lines
from reference import audio, clips, faces_file, syncnet

FRAMES, FPS = 60, 25


def boxes_of(count):
    return [np.array([x - 24, y - 30, x + 24, y + 34]).round().astype(int)
            for x, y in (clips.moving_face(i) for i in range(count))]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """(path, frames) of a face that moves, without sound."""
    frames = [clips.picture(i, face=clips.moving_face(i)) for i in range(FRAMES)]
    return clips.write_video(tmp_path_factory.mktemp("sync") / "face.mkv", frames, FPS), frames


@pytest.fixture(scope="module")
def expert(syncnet_network):
    return syncnet_network(0.25)


def mux(video, sound, path):
    arguments = ["-i", str(video), "-i", str(sound), "-map", "0:v", "-map", "1:a"]
    codec = ["-c:v", "copy", "-c:a", "pcm_s16le"]
    subprocess.run(["ffmpeg", "-v", "error", "-y", *arguments, *codec, str(path)], check=True)
    return path


def measured(program, *arguments, **settings):
    return json_lines(program.run("sync", *arguments, "--json", **settings).stdout)[0]


def write_faces(clip, boxes, folder):
    return faces_file.write_boxes(folder / "faces.json", clip, boxes, (160, 120), FPS)


def expected(expert, frames, boxes, sound):
    wave = audio.load(sound)
    lips, sounds, seen = syncnet.embed(expert.model, frames, boxes, audio.mel_spectrogram(wave),
                                       len(wave))
    return lips, sounds, seen, syncnet.measure(lips, sounds, seen)


def check(line, lips, sounds, seen, reference):
    table, (offset, lse_d, lse_c, _), confidence = reference
    assert line["offset_ms"] == 40 * offset
    assert abs(line["lse_d"] - lse_d) < 2e-5 and abs(line["lse_c"] - lse_c) < 2e-5
    assert line["confidence"] == line["lse_c"]
    rows = line["over_time"]
    assert [row["face"] for row in rows] == seen.tolist()
    assert line["windows"] == seen.sum() and line["windows_without_face"] == (~seen).sum()
    told = [row for row in rows if row["face"]]
    at = syncnet.SHIFTS - offset
    assert np.abs([r["distance"] for r in told] - table[seen][:, at]).max() < 2e-5
    assert np.abs([r["confidence"] for r in told] - confidence).max() < 2e-5
    assert all(r["distance"] is None and r["confidence"] is None for r in rows if not r["face"])
    assert [r["seconds"] for r in rows] == [round(i / 25, 2) for i in range(len(rows))]
    cosine = [float(lips[i] @ sounds[i]) for i in range(len(lips)) if seen[i]]
    assert abs(line["cosine_at_0"] - np.mean(cosine)) < 2e-5
    for i in (0, len(rows) // 2):  # of the hundred windows about it
        near = np.arange(max(0, i - 50), min(len(rows), i + 50))
        near_offset, near_d, near_c, _ = syncnet.score(table[near][seen[near]])
        assert rows[i]["offset_ms"] == 40 * near_offset
        assert abs(rows[i]["lse_d"] - near_d) < 2e-5 and abs(rows[i]["lse_c"] - near_c) < 2e-5


@pytest.mark.parametrize("seconds", [2.6, 1.9], ids=["video-ends", "sound-ends"])
def test_the_measure(program, clip, expert, voices, tmp_path, seconds):
    """All numbers, with frames without a face, and boxes that reach outside the picture."""
    path, frames = clip
    boxes = boxes_of(FRAMES)
    boxes[20] = None
    boxes[3] = np.array([60, 70, 170, 130])
    sound = voices(seconds)
    faces = write_faces(path, boxes, tmp_path)
    line = measured(program, path, "--audio", sound, "--weights", expert.file("training-zip"),
                    "--faces", faces)
    check(line, *expected(expert, frames, boxes, sound))
    assert line["weights"] == str(expert.file("training-zip"))


def test_a_box_and_sound_of_its_own(program, clip, expert, voices, tmp_path, cpu):
    path, frames = clip
    sound = voices(2.6)
    own = mux(path, sound, tmp_path / "own.mkv")
    arguments = ["--weights", expert.file("zip"), "--box", 20, 110, 40, 120, "--cpu", cpu]
    line = measured(program, own, *arguments)
    check(line, *expected(expert, frames, [np.array([40, 20, 120, 110])] * FRAMES, sound))
    apart = measured(program, path, "--audio", sound, *arguments, "--threads", 1)
    for name in ("offset_ms", "lse_d", "lse_c", "over_time"):
        assert line[name] == apart[name]


def test_faces_are_found_as_for_lip_sync(program, clip, expert, voices, blob_detector, tmp_path):
    """The detector's boxes as they are: the file that it writes gives the same again."""
    path, frames = clip
    faces, sound = tmp_path / "faces.json", voices(2.6)
    arguments = [path, "--audio", sound, "--weights", expert.file("zip")]
    line = measured(program, *arguments, "--s3fd", blob_detector.file("zip"), "--faces", faces)
    boxes = [r["box"] and np.array(r["box"]) for r in json.loads(faces.read_text())["faces"]]
    assert len(boxes) == FRAMES and sum(b is not None for b in boxes) > FRAMES - 3
    check(line, *expected(expert, frames, boxes, sound))
    again = measured(program, *arguments, "--faces", faces)
    assert again["over_time"] == line["over_time"]


@pytest.mark.parametrize("rate", ["50", "25/2"], ids=["50", "12.5"])
def test_other_rates_become_25_a_second(program, clip, expert, voices, tmp_path, rate):
    """Pictures at 50 a second, of which every second is one of the clip; at 12.5, shown twice."""
    path, frames = clip
    sound, box = voices(2.2), ["--box", 20, 110, 40, 120]
    if rate == "50":
        shown, usual = [f for frame in frames for f in (frame, frame)], path
    else:
        shown = frames[::2]
        usual = clips.write_video(tmp_path / "usual.mkv",
                                  [f for frame in shown for f in (frame, frame)], FPS)
    other = clips.write_video(tmp_path / "other.mkv", shown, rate)
    arguments = ["--audio", sound, "--weights", expert.file("zip"), *box]
    lines = [measured(program, video, *arguments) for video in (usual, other)]
    assert lines[0]["over_time"] == lines[1]["over_time"] and len(lines[0]["over_time"]) == 50


def test_csv_has_what_json_has(program, clip, expert, voices, tmp_path):
    path, _ = clip
    boxes = boxes_of(FRAMES)
    boxes[30:42] = [None] * 12
    faces = write_faces(path, boxes, tmp_path)
    arguments = [path, "--audio", voices(2.6), "--weights", expert.file("zip"), "--faces", faces]
    rows = measured(program, *arguments)["over_time"]
    table = list(csv.DictReader(io.StringIO(program.run("sync", *arguments, "--csv").stdout)))
    assert len(table) == len(rows) and set(table[0]) == set(rows[0])
    for text, row in zip(table, rows):
        for name, value in row.items():
            told = "" if value is None else text[name] and float(text[name])
            assert told == ("" if value is None else float(value)), name


# ---- what cannot be measured --------------------------------------------------------------------


def test_refused_in_a_sentence(program, clip, expert, voices, tmp_path):
    path, frames = clip
    sound, box = voices(2.6), ["--box", 20, 110, 40, 120]
    short = clips.write_video(tmp_path / "short.mkv", frames[:5], FPS)
    still = clips.write_video(tmp_path / "still.png", frames[:1], FPS, codec=())
    nobody = write_faces(path, [None] * FRAMES, tmp_path)
    for arguments, words in (
        ([short, "--audio", sound, *box], "too short"),
        ([path, "--audio", voices(0.2), *box], "too short"),
        ([still, "--audio", sound, *box], "one picture"),
        ([path, *box], "has no audio stream"),
        ([path, "--audio", sound, "--box", 0, 500, 0, 10], "outside"),
        ([path, "--audio", sound, "--faces", nobody], "no face"),
        (["nowhere.mp4", *box], "nowhere.mp4"),
    ):
        done = program.run("sync", *arguments, "--weights", expert.file("zip"), code=1)
        assert done.stdout == "" and words in done.stderr and done.stderr.count("\n") == 1
    for arguments, words in (
        ([], "VIDEO"),
        ([path, "--csv", "--json"], "exclude"),
        ([path, *box, "--faces", "x"], "give one"),
        ([path, "--s3fd", "a", "--detector", "b"], "give one"),
    ):
        done = program.run("sync", *arguments, code=2)
        assert words in done.stderr and done.stderr.count("\n") == 1


def test_damaged_weights_give_no_number(program, clip, expert, voices, tmp_path):
    from reference import checkpoints

    state = checkpoints.state_of(expert.model)
    state["face_encoder.16.conv_block.1.bias"].fill_(float("nan"))
    weights = checkpoints.save_zip(state, tmp_path / "w.pth")
    box = ["--box", 20, 110, 40, 120]
    done = program.run("sync", clip[0], "--audio", voices(1), "--weights", weights, *box, code=1)
    assert "not finite" in done.stderr and done.stdout == ""

"""What the result of a lip-sync command says of itself."""

import hashlib
import json
import shutil
import subprocess

import numpy as np
import pytest

from reference import clips

FRAMES = 8
BOX = (8, 72, 8, 72)  # top bottom left right
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"


@pytest.fixture
def make(program, voices, generator, tmp_path):
    """make(name, ...): the result of that name, its weights, and what was said on the way."""
    face = tmp_path / "face.mkv"
    clips.write_video(face, [np.full((80, 96, 3), 60 + 9 * i, np.uint8) for i in range(FRAMES)], 25)

    def go(name, *arguments, weights="small.pth"):
        copy = tmp_path / weights
        if not copy.exists():
            shutil.copy2(generator.file("zip"), copy)
        done = program.run("wav2lip", "--face", face, "--audio", voices(FRAMES / 25), "--box", *BOX,
                           "--checkpoint_path", copy, "--outfile", tmp_path / name, *arguments)
        return tmp_path / name, copy, done.stderr

    return go


def told(program, path):
    return json.loads(program.run("info", path, "--json").stdout)


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi"])
def test_the_result_says_how_it_was_made(make, program, name):
    path, weights, _ = make(name, "--mask", "lower", "--feather", 0.2)
    shown = told(program, path)
    assert shown["digital_source_type"] == SOURCE
    version = program.run("--version").stdout.split()[1]
    assert shown["program"] == f"run-model {version}" and shown["command"] == "wav2lip"
    assert "mask lower" in shown["settings"] and "feather 0.2" in shown["settings"]
    assert not [s for s in shown["settings"] if "outfile" in s or "voice" in s]
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert shown["weights"] == [f"wav2lip {weights.name} sha256:{digest}"]
    # Players read it as before, and the same command writes the same bytes.
    frames = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-select_streams", "v",
                             "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", path],
                            check=True, capture_output=True, text=True)
    assert frames.stdout.strip(" ,\n") == str(FRAMES) and not frames.stderr
    again, _, _ = make("again" + name[1:], "--mask", "lower", "--feather", 0.2)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv"])
def test_no_mark_leaves_it_out_with_a_remark(make, program, name):
    path, _, stderr = make(name, "--no-mark")
    assert "does not say that a network made the mouth" in stderr
    assert told(program, path) == {"file": str(path), "xmp": False,
                                   "format": "mp4" if name.endswith("mp4") else "matroska"}
    assert b"digitalsourcetype" not in path.read_bytes()


def test_names_are_text_and_not_xml(make, program):
    path, weights, _ = make("c.mp4", weights="a<b>&c.pth")
    assert told(program, path)["weights"][0].startswith("wav2lip a<b>&c.pth sha256:")
    assert f"weights: wav2lip {weights.name} sha256:" in program.run("info", path).stdout

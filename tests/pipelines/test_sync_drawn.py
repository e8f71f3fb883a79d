"""`run-model sync` on drawn heads whose sound was moved, with the network that is shipped."""

import subprocess

import numpy as np
import pytest
import soundfile

from conftest import ROOT, json_lines

DEMO = ROOT / "data" / "demo"
HALF_FRAME_MS = 20


def measured(program, *arguments):
    return json_lines(program.run("sync", *arguments, "--json").stdout)[0]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The demo's clip: (video without sound, samples at 16 kHz, where its faces will be kept)."""
    folder = tmp_path_factory.mktemp("drawn")
    quiet = ["ffmpeg", "-v", "error", "-y", "-i", str(DEMO / "face.mp4")]
    subprocess.run([*quiet, "-an", "-c", "copy", str(folder / "face.mp4")], check=True)
    wav = folder / "voice.wav"
    subprocess.run([*quiet, "-vn", "-ar", "16000", "-ac", "1", str(wav)], check=True)
    samples = soundfile.read(wav, dtype="float32")[0]
    return folder / "face.mp4", samples, ["--faces", folder / "faces.json"]


def moved(samples, ms):
    count = round(16 * ms)
    silence = np.zeros(abs(count), np.float32)
    return np.concatenate([silence, samples]) if ms > 0 else np.append(samples[-count:], silence)


@pytest.mark.parametrize("late", [0, 120, 320, -200])
def test_sound_that_was_moved_is_found(program, drawn, tmp_path, late):
    video, samples, faces = drawn
    soundfile.write(tmp_path / "s.wav", moved(samples, late), 16000)
    line = measured(program, video, "--audio", tmp_path / "s.wav", *faces)
    print(late, line["offset_ms"], line["confidence"])
    assert abs(line["offset_ms"] + late) <= HALF_FRAME_MS
    assert line["confidence"] > 0.1 and not line["beyond"]
    near = [r["offset_ms"] for r in line["over_time"][20:-20]]
    assert np.abs(np.array(near) + late).max() <= 40


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_sound_that_its_container_moves_is_found(program, drawn, tmp_path, container):
    video, samples, _ = drawn
    soundfile.write(tmp_path / "s.wav", samples, 16000)
    sound = ["-c:a", "aac", "-b:a", "64k"] if container == "mp4" else ["-c:a", "pcm_s16le"]
    for name, late, delay in (("late", 120, (0, 0.12)), ("early", -120, (0.12, 0))):
        path = tmp_path / f"{name}.{container}"
        inputs = ["-itsoffset", str(delay[0]), "-i", str(video)]
        inputs += ["-itsoffset", str(delay[1]), "-i", str(tmp_path / "s.wav")]
        command = ["ffmpeg", "-v", "error", "-y", *inputs, "-map", "0:v", "-map", "1:a"]
        subprocess.run([*command, "-c:v", "copy", *sound, str(path)], check=True)
        line = measured(program, path)
        assert abs(line["offset_ms"] + late) <= HALF_FRAME_MS, (name, line["offset_ms"])


def test_one_line_says_it(program, drawn, tmp_path):
    video, samples, faces = drawn
    soundfile.write(tmp_path / "s.wav", moved(samples, 120), 16000)
    done = program.run("sync", video, "--audio", tmp_path / "s.wav", *faces)
    assert done.stdout.startswith(f"{video}: the sound is 120 ms late; confidence (LSE-C) 0.")
    assert done.stdout.count("\n") == 1 and "syncnet.safetensors" in done.stdout
    assert "made for generated faces, not for real ones" in done.stderr
    in_sync = program.run("sync", DEMO / "face.mp4").stdout
    assert "lips and sound are in sync (0 ms)" in in_sync


def test_sound_of_somebody_else_is_told(program, drawn):
    video, _, faces = drawn
    own = measured(program, video, "--audio", DEMO / "face.mp4", *faces)
    other = measured(program, video, "--audio", DEMO / "voice.wav", *faces)
    assert other["confidence"] < own["confidence"] / 2
    assert other["lse_d"] > own["lse_d"] + 0.1

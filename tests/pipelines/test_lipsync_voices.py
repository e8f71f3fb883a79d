"""`wav2lip` with voices as people have them: late, with holes, out of phase."""

import json
import os
import subprocess

import numpy as np
import pytest
import soundfile

from reference import clips

ARGUMENTS = ["--box", 30, 100, 50, 110, "--codec", "ffv1"]


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    frames = [clips.picture(i) for i in range(10)]
    return clips.write_video(tmp_path_factory.mktemp("face") / "face.mkv", frames, 25)


def test_a_hole_lasts_as_long_as_the_clock_says(lipsync, face, tmp_path):
    voice, holed, filled = (tmp_path / n for n in ("v.wav", "holed.mka", "filled.wav"))
    clips.write_voice(voice, 4)
    options = ["-af", "aselect='lt(t,1)+gte(t,3)'", "-c:a", "flac"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", voice, *options, holed], check=True)
    out, done = lipsync(face, holed, *ARGUMENTS)
    result = clips.read_video(out)
    assert len(result) == 100
    assert "holed.mka: begins late or has holes, where 2." in done.stderr
    # the same as with the silence in the file
    sound = ["-f", "s16le", "-ac", "1", "-ar", "16000", "-"]
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", out, *sound], capture_output=True).stdout
    soundfile.write(filled, np.frombuffer(raw, np.int16), 16000)
    assert soundfile.info(filled).frames == 64000
    out, done = lipsync(face, filled, *ARGUMENTS, name="filled.mkv")
    assert "silence" not in done.stderr
    assert all((a == b).all() for a, b in zip(clips.read_video(out), result, strict=True))
    # the original hears two seconds
    out, done = lipsync(face, holed, *ARGUMENTS, "--compat", "--json")
    assert json.loads(done.stdout)["voice_silence_seconds"] == 0
    assert len(clips.read_video(out)) < 50


@pytest.mark.parametrize("seconds", [1, 4], ids=["shorter", "longer"])
def test_another_sound_is_heard(lipsync, face, tmp_path, seconds):
    voice, final = tmp_path / "v.wav", tmp_path / "final.wav"
    clips.write_voice(voice, 2)
    tone = 0.3 * np.sin(np.arange(seconds * 44100) * 0.1)
    soundfile.write(final, np.stack([tone, -0.5 * tone], axis=1), 44100)
    plain, _ = lipsync(face, voice, *ARGUMENTS, name="plain.mkv")
    out, done = lipsync(face, voice, *ARGUMENTS, "--final-audio", final, "--json")
    frames = clips.read_video(out)
    assert len(frames) == 50
    assert all((a == b).all() for a, b in zip(frames, clips.read_video(plain), strict=True))
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", out, "-f", "s16le", "-"],
                         capture_output=True, check=True).stdout
    heard = np.frombuffer(raw, np.int16).reshape(-1, 2)
    assert (heard == soundfile.read(final, dtype="int16")[0][:2 * 44100]).all()
    assert json.loads(done.stdout)["audio_seconds"] == min(seconds, 2)
    pipe = tmp_path / "pipe"  # the same when it comes out of one
    os.mkfifo(pipe)
    with subprocess.Popen(["sh", "-c", 'exec cat "$0" > "$1"', final, pipe]):
        again, _ = lipsync(face, voice, *ARGUMENTS, "--final-audio", pipe, name="piped.mkv")
    assert again.read_bytes() == out.read_bytes()
    _, done = lipsync(face, voice, *ARGUMENTS, "--final-audio", tmp_path / "no.wav", code=1)
    assert "no.wav" in done.stderr
    _, done = lipsync(face, voice, *ARGUMENTS, "--final-audio", out, name="out.mkv", code=1)
    assert "is read and cannot be the result" in done.stderr


def test_a_voice_out_of_phase(lipsync, face, tmp_path):
    voice = clips.voice(1, seed=5)[:, 0]
    soundfile.write(tmp_path / "mono.wav", voice, 16000)
    soundfile.write(tmp_path / "stereo.wav", np.stack([voice, -voice], axis=1), 16000)
    expected, done = lipsync(face, tmp_path / "mono.wav", *ARGUMENTS, name="mono.mkv")
    assert "channel" not in done.stderr
    out, done = lipsync(face, tmp_path / "stereo.wav", *ARGUMENTS, "--json")
    assert "stereo.wav: its 2 channels cancel each other out, so the lips follow channel 1" in (
        done.stderr)
    assert json.loads(done.stdout)["voice_channel"] == 1
    expected = clips.read_video(expected)
    assert all((a == b).all() for a, b in zip(clips.read_video(out), expected, strict=True))
    assert clips.stream(out, "audio")["channels"] == 2
    # the original averages
    out, done = lipsync(face, tmp_path / "stereo.wav", *ARGUMENTS, "--compat")
    assert "channel" not in done.stderr
    pairs = zip(clips.read_video(out), expected)
    assert any((a != b).any() for a, b in pairs)

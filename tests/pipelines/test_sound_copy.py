"""Sound that need not change is copied: the same packets, heard at the same times.

ffmpeg decodes the source and the result; what both hold must have the same bits and lie at the
same time after the picture's first frame.
"""

import json
import subprocess

import numpy as np
import pytest
import soundfile

from reference import clips
from reference.clips import ffmpeg

RATE = 48000
ARGUMENTS = ["--box", 30, 100, 50, 110, "--json"]
# What is written: codec and options; then how far times are rounded in .mkv and .webm.
KINDS = {
    "a.m4a": "-c:a aac", "a.mka": "-c:a aac", "a.aac": "-c:a aac", "a.ts": "-c:a aac",
    "a.mp3": "-c:a libmp3lame", "plain.mp3": "-c:a libmp3lame -write_xing 0 -id3v2_version 0",
    "a.opus": "-c:a libopus", "speech.opus": "-c:a libopus -application voip -b:a 12k",
    "long.webm": "-c:a libopus -frame_duration 60", "a.ogg": "-c:a libvorbis",
    "a.flac": "-c:a flac", "flac.mka": "-c:a flac", "a.ac3": "-c:a ac3", "alac.m4a": "-c:a alac",
    "a.wav": "-c:a pcm_s16le", "a24.wav": "-c:a pcm_s24le", "a.aiff": "-c:a pcm_s16be",
}


def noise(seconds, channels=2, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-0.5, 0.5, (round(seconds * RATE), channels))
    return x * (0.2 + 0.8 * (np.arange(len(x)) * 3 // RATE % 2)[:, None])


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    frames = [clips.picture(i) for i in range(10)]
    return clips.write_video(tmp_path_factory.mktemp("face") / "face.mkv", frames, 25)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """sounds(name): a file of KINDS, 2.34 s long."""
    folder = tmp_path_factory.mktemp("sounds")
    soundfile.write(folder / "source.wav", noise(2.34), RATE, subtype="PCM_16")

    def make(name):
        if not (folder / name).exists():
            ffmpeg("-i", folder / "source.wav", *KINDS[name].split(), folder / name)
        return folder / name

    return make


def decoded(path):
    """(samples, seconds): the sound, and when its first sample is heard."""
    command = ["ffprobe", "-v", "error", "-select_streams", "a", "-show_entries",
               "frame=pts_time", "-of", "csv=p=0", str(path)]
    first = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()[0]
    raw = ffmpeg("-i", path, "-map", "0:a", "-c:a", "pcm_f32le", "-f", "f32le", "-")
    channels = clips.stream(path, "audio")["channels"]
    return np.frombuffer(raw, np.float32).reshape(-1, channels), float(first.strip(","))


def assert_same_sound(result, source, seconds=None):
    """What is heard of `source` from its first sample on, at the start of the picture."""
    got, start = decoded(result)
    expected, _ = decoded(source)
    rate = int(clips.stream(result, "audio")["sample_rate"])
    about = round(-start * rate)
    near = range(max(0, about - rate // 1000), about + rate // 1000 + 1)
    before = next((k for k in near if (got[k : k + 2000] == expected[:2000]).all()), None)
    assert before is not None, (start, len(got), len(expected))
    exact = result.suffix in (".mp4", ".mov", ".avi")
    assert abs(start + before / rate) <= (0 if exact else 0.0007)
    wanted = len(expected) if seconds is None else round(seconds * rate)
    count = min(len(got) - before, wanted)
    assert count >= wanted - 1
    assert (got[before : before + count] == expected[:count]).all()
    assert float(clips.stream(result, "video").get("start_time", 0)) == 0
    return len(got) - before - wanted


@pytest.mark.parametrize("container", ["mp4", "mkv", "mov", "webm", "avi"])
@pytest.mark.parametrize("name", KINDS)
def test_bits_and_times(lipsync, face, sounds, name, container):
    source = sounds(name)
    out, done = lipsync(face, source, *ARGUMENTS, name=f"out.{container}")
    report = json.loads(done.stdout)
    codec = clips.stream(source, "audio")["codec_name"]
    assert clips.stream(out, "audio")["codec_name"] == report["sound_codec"]
    assert abs(report["audio_seconds"] - report["video_seconds"]) <= 0.02 + 1e-6
    assert report["sound"] in ("copied", "encoded")
    if report["sound"] == "copied":
        assert report["sound_codec"] == codec and "sound_why" not in report
        assert_same_sound(out, source)
    else:
        assert report["sound_why"]
    must = {"mkv": set(KINDS), "webm": {"a.opus", "speech.opus", "long.webm", "a.ogg"},
            "mp4": {"a.m4a", "a.mka", "a.aac", "a.ts", "a.mp3", "plain.mp3", "a.ac3", "alac.m4a"},
            "mov": {"a.m4a", "a.mka", "a.aac", "a.ts", "a.mp3", "a.wav", "a24.wav", "a.aiff"},
            "avi": {"plain.mp3", "a.ac3", "a.wav", "a24.wav"}}
    assert report["sound"] == "copied" or name not in must[container]
    # An AVI cannot say that sound begins within a packet.
    assert report["sound"] == "encoded" or (name, container) not in (("a.mp3", "avi"),
                                                                    ("a.m4a", "avi"))


@pytest.mark.parametrize("container", ["mp4", "mkv", "avi"])
@pytest.mark.parametrize("name", ["a.m4a", "a.mp3", "plain.mp3", "a.opus", "a.flac", "a.wav"])
def test_final_audio_ends_with_the_picture(lipsync, face, sounds, tmp_path, name, container):
    voice = clips.write_voice(tmp_path / "v.wav", 1.21)
    out, done = lipsync(face, voice, *ARGUMENTS, "--final-audio", sounds(name),
                        name=f"out.{container}")
    report = json.loads(done.stdout)
    assert report["frames"] == 30
    assert abs(report["audio_seconds"] - report["video_seconds"]) <= 0.02 + 1e-6
    if report["sound"] == "copied":
        beyond = assert_same_sound(out, sounds(name), min(1.21, report["audio_seconds"]))
        # No whole packet beyond the end; and Matroska says where it is within the last one.
        assert beyond < (2 if container == "mkv" or name == "a.wav" else 1152)
    again, _ = lipsync(face, voice, *ARGUMENTS, "--final-audio", sounds(name),
                       name=f"again.{container}")
    assert again.read_bytes() == out.read_bytes()


def holed(source, path):
    ffmpeg("-i", source, "-af", "aselect='lt(t,0.7)+gte(t,1.2)'", "-c:a", "flac", path)


def late(source, path):
    frames = [clips.picture(i) for i in range(60)]
    video = clips.write_video(path.with_name("v.mkv"), frames, 25)
    ffmpeg("-i", video, "-itsoffset", "0.4", "-i", source, "-c:v", "copy", "-c:a", "flac", path)


def damaged(source, path):
    ffmpeg("-i", source, "-c:a", "flac", path.with_suffix(".flac"))
    data = bytearray(path.with_suffix(".flac").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)


def joined(source, path):
    part = path.with_suffix(".ts")
    ffmpeg("-i", source, "-c:a", "mp2", part)
    other = path.with_name("other.ts")
    ffmpeg("-i", source, "-ar", "32000", "-c:a", "mp2", other)
    path.write_bytes(part.read_bytes() + other.read_bytes())


@pytest.mark.parametrize("make, why", [
    (holed, "it begins late or has holes, where silence is put"),
    (late, "it begins late or has holes, where silence is put"),
    (damaged, ""), (joined, ""),
], ids=["holed", "late", "damaged", "joined"])
def test_what_must_change_is_encoded(lipsync, face, sounds, tmp_path, make, why):
    made = tmp_path / "made.mkv"
    make(sounds("a.wav"), made)
    _, done = lipsync(face, made, *ARGUMENTS)
    report = json.loads(done.stdout)
    assert report["sound"] == "encoded" and report["sound_why"]
    assert not why or report["sound_why"] == why


def test_compat_encodes(lipsync, face, sounds):
    out, done = lipsync(face, sounds("a.m4a"), *ARGUMENTS, "--compat", name="out.mp4")
    report = json.loads(done.stdout)
    assert (report["sound"], report["sound_why"]) == ("encoded", "its times are ignored")
    assert report["sound_codec"] == clips.stream(out, "audio")["codec_name"] == "aac"


def test_an_edit_list_that_leaves_out_the_beginning(lipsync, face, sounds, tmp_path):
    cut = tmp_path / "cut.m4a"
    ffmpeg("-ss", "0.7", "-i", sounds("a.m4a"), "-c", "copy", cut)
    for name in ("out.mp4", "out.mkv"):
        out, done = lipsync(face, cut, *ARGUMENTS, name=name)
        assert json.loads(done.stdout)["sound"] == "copied"
        assert_same_sound(out, cut)


def test_encoded_opus_is_heard_in_time(lipsync, face, sounds):
    """The delay of the encoder, too: a click after a second is heard after a second."""
    out, done = lipsync(face, sounds("a.wav"), *ARGUMENTS, name="out.webm")
    assert json.loads(done.stdout)["sound"] == "encoded"
    got, start = decoded(out)
    expected = soundfile.read(sounds("a.wav"), dtype="float32")[0]
    spectrum = np.fft.rfft(got[:RATE, 0]) * np.conj(np.fft.rfft(expected[:RATE, 0]))
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    lag -= RATE if lag > RATE // 2 else 0
    assert abs(start + lag / RATE) < 0.0015, (start, lag)

"""Sound as people have it: late, with holes, with a clock that jumps, joined, out of phase.

What the networks hear and what is put into the result come from the same frames and the same
silence, so most cases look at both.
"""

import ctypes as C
import struct
import subprocess

import numpy as np
import pytest
import soundfile

import media_library

RATE = 16000
MATROSKA, PCM = "x.mka", ("-c:a", "pcm_s16le")


def noise(seconds, seed=1, rate=RATE):
    """Noise of 16 bits that is nowhere silent for long."""
    samples = np.random.default_rng(seed).integers(-9000, 9000, round(seconds * rate))
    return samples.astype(np.int16)


@pytest.fixture
def write(ffmpeg, tmp_path):
    """write(samples, name, options): a file of samples (count) or (count, channels)."""

    def run(samples, name, *options, before=(), rate=RATE):
        raw, path = tmp_path / "samples.raw", tmp_path / name
        raw.write_bytes(np.ascontiguousarray(samples).tobytes())
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        given = ["-f", "s16le", "-ar", rate, "-ac", channels]
        ffmpeg(*before, *given, "-i", raw, *options, path)
        return path

    return run


@pytest.fixture
def put_in(media, ffmpeg, tmp_path):
    """put_in(sound): the sound of a result made with it, mono, in -1..1."""

    def run(path, rate=RATE, **settings):
        frames = [np.zeros((16, 16, 3), np.uint8)] * 3
        result = tmp_path / "result.mkv"
        summary = media.encode(result, frames, audio=path, codec=media_library.FFV1, **settings)
        raw = ffmpeg("-i", result, "-vn", "-ac", "1", "-ar", rate, "-f", "f32le", "-")
        samples = np.frombuffer(raw, np.float32)
        assert abs(summary.audio_seconds - len(samples) / rate) < 0.002
        return samples

    return run


def heard(media, path, **settings):
    """The waveform and what is known of the file; both ways to read it agree."""
    samples = media.waveform(path, **settings)
    mel, info = media.speech_mel(path, **settings)
    assert len(samples) == info["samples"]
    assert np.array_equal(mel, media.mel(samples).astype(np.float32))
    return samples, info


def is_silent(samples, start, end):
    part = samples[round(start * RATE) : round(end * RATE)]
    return np.abs(part).max() < 0.003


# ---- late, and with holes ------------------------------------------------------------------------


def test_a_hole_is_silence_to_the_sample(media, write, put_in):
    whole = noise(4)
    cut = ["-af", "aselect='lt(t,1)+gte(t,3)'"]
    path = write(whole, MATROSKA, *cut, *PCM)
    samples, info = heard(media, path)
    assert len(samples) == len(whole) and info["seconds"] == 4.0
    expected = whole / np.float32(32768)
    left_out = np.flatnonzero(np.abs(samples - expected))
    first, last = left_out[0], left_out[-1] + 1  # blocks are selected whole
    assert abs(first / RATE - 1) < 0.13 and abs(last / RATE - 3) < 0.13
    expected[first:last] = 0
    assert np.array_equal(samples, expected)
    assert info["silence"] == pytest.approx((last - first) / RATE, abs=1e-9)
    assert np.array_equal(put_in(path), expected)
    # as upstream hears it
    samples, info = heard(media, path, as_upstream=True)
    assert len(samples) == len(whole) - (last - first) and info["silence"] == 0
    assert len(put_in(path, audio_untimed=True)) == len(samples)


HOLES = {
    "x.webm": ["-c:a", "libopus"], "x.mp4": ["-c:a", "aac"], "x.ts": ["-c:a", "aac"],
    "x.ogg": ["-c:a", "libvorbis"], "x.flv": ["-c:a", "aac"], "x.mka": ["-c:a", "flac"],
}


@pytest.mark.parametrize("name", HOLES)
def test_holes_in_any_format(media, write, put_in, name):
    options = ["-af", "aselect='lt(t,1)+between(t,2,2.5)+gte(t,3.5)'", "-ar", 48000]
    path = write(noise(4), name, *options, *HOLES[name])
    samples, info = heard(media, path)
    assert abs(len(samples) / RATE - 4) < 0.1 and abs(info["silence"] - 2) < 0.2
    for said in (samples, put_in(path)):
        assert abs(len(said) / RATE - 4) < 0.1
        # in an Ogg half a second of packets has one time
        for at in (1.2, 2.7)[: 1 if name == "x.ogg" else 2]:
            assert is_silent(said, at, at + 0.6), at
        for at in (0.2, 3.7):
            assert not is_silent(said, at, at + 0.2), at


LATE = ["x.mka", "x.mp4", "x.flv", "x.ogg", "x.mov"]


@pytest.mark.parametrize("name", LATE)
def test_a_late_start_is_silence(media, write, put_in, name):
    options = ["-c:a", "libvorbis" if name == "x.ogg" else "aac", "-ar", 48000]
    path = write(noise(2), name, *options, before=["-itsoffset", 1.5])
    for said in (heard(media, path)[0], put_in(path)):
        assert abs(len(said) / RATE - 3.5) < 0.1
        assert is_silent(said, 0, 1.4) and not is_silent(said, 1.55, 1.75)


@pytest.mark.parametrize("name", ["x.mp4", "x.ts", "x.mkv"])
@pytest.mark.parametrize("sound_at, video_at", [(1.5, 0), (0, 1.0), (0, 0)])
def test_sound_beside_a_video(media, ffmpeg, tmp_path, name, sound_at, video_at):
    """Late is what begins after the first stream; the clock of a .ts begins anywhere."""
    path = tmp_path / name
    ffmpeg("-itsoffset", sound_at, "-f", "lavfi", "-i", "anoisesrc=d=2:r=48000:a=0.3",
           "-itsoffset", video_at, "-f", "lavfi", "-i", "testsrc2=d=1:s=64x48:r=25",
           "-c:v", "libx264", "-c:a", "aac", path)
    samples, info = heard(media, path)
    assert abs(len(samples) / RATE - 2 - sound_at) < 0.1
    assert abs(info["silence"] - sound_at) < 0.06


# An AVI has no times of packets: sound lies where the bytes before it end.
AVI = {"pcm": "pcm_s16le", "mp3": "libmp3lame", "ac3": "ac3"}


@pytest.mark.parametrize("codec", AVI)
@pytest.mark.parametrize("options, before", [
    (["-af", "aselect='lt(t,1)+between(t,2,2.5)+gte(t,3.5)'"], []), ([], ["-itsoffset", 1.5]),
], ids=["holes", "late"])
def test_an_avi_is_heard_as_ffmpeg_does(media, write, ffmpeg, codec, options, before):
    """What an encoder leaves out of it is nowhere."""
    path = write(noise(4), "x.avi", *options, "-c:a", AVI[codec], "-ar", 48000, before=before)
    samples, info = heard(media, path)
    raw = np.frombuffer(ffmpeg("-i", path, "-vn", "-f", "f32le", "-"), np.float32)
    assert info["silence"] == 0 and info["native_samples"] == len(raw)
    assert np.array_equal(samples, media.waveform(path, as_upstream=True))


@pytest.mark.parametrize("codec", AVI)
def test_the_header_of_an_avi_says_a_late_start(media, write, put_in, codec):
    path = write(noise(2), "x.avi", "-c:a", AVI[codec], "-ar", 48000)
    data = bytearray(path.read_bytes())
    at = data.index(b"strh") + 8
    assert data[at:at + 4] == b"auds"
    scale, rate, start = struct.unpack_from("<III", data, at + 20)
    struct.pack_into("<I", data, at + 28, start + 3 * rate // (2 * scale))
    path.write_bytes(data)
    for said in (heard(media, path)[0], put_in(path)):
        assert abs(len(said) / RATE - 3.5) < 0.1
        assert is_silent(said, 0, 1.4) and not is_silent(said, 1.6, 1.8)


# ---- clocks that mean nothing --------------------------------------------------------------------

PLAIN = {
    "x.mp3": ["-c:a", "libmp3lame"], "x.m4a": ["-c:a", "aac"], "x.opus": ["-c:a", "libopus"],
    "x.webm": ["-c:a", "libopus"], "x.mka": ["-c:a", "libvorbis"], "x.aac": ["-c:a", "aac"],
    "x.ts": ["-c:a", "mp2"], "x.avi": ["-c:a", "libmp3lame"], "x.ac3": ["-c:a", "ac3"],
    "x.wma": ["-c:a", "wmav2"], "x.flac": ["-c:a", "flac"],
}


@pytest.mark.parametrize("name", PLAIN)
def test_the_delay_of_encoders_is_no_silence(media, write, ffmpeg, name):
    path = write(noise(1.5), name, *PLAIN[name], "-ar", 48000)
    samples, info = heard(media, path)
    raw = np.frombuffer(ffmpeg("-i", path, "-vn", "-f", "f32le", "-"), np.float32)
    assert info["silence"] == 0 and info["native_samples"] == len(raw)
    assert np.array_equal(samples, media.waveform(path, as_upstream=True))


def moved(write, times):
    """Noise of which packet N (128 ms) is said to lie at `times` (ms) instead of TS."""
    dts = "" if "eq" in times else f":dts='{times}'"  # which must grow in a file
    return write(noise(4), MATROSKA, *PCM, "-bsf:a", f"setts=pts='{times}'{dts}")


@pytest.mark.parametrize("times", [
    "TS+mod(N*37,61)-30", "TS+TS/60", "TS-TS/60", "TS+50*gte(N,20)",  # jitter, drift, a step
    "TS-500*gte(N,20)", "TS-1900*gte(N,20)",  # overlaps, and a clock that starts again
    "TS+7200000*gte(N,20)",  # another day
    "TS+5000*eq(N,20)", "TS+7200000*eq(N,20)",  # one packet is astray
])
def test_clocks_that_are_not_followed(media, write, put_in, times):
    path = moved(write, times)
    samples, info = heard(media, path)
    assert info["silence"] == 0
    assert np.array_equal(samples, noise(4) / np.float32(32768))
    assert np.array_equal(put_in(path), samples)


def test_many_small_holes_add_up(media, write):
    """A packet of 64 ms is lost again and again: never far from the clock."""
    path = write(noise(8), MATROSKA, "-af", "aselect='mod(n,5)'", *PCM)
    samples, info = heard(media, path)
    assert abs(info["seconds"] - 8) < 0.17 and 1.4 < info["silence"] <= 1.6


# ---- joined --------------------------------------------------------------------------------------


def loudest_tone(samples):
    return np.argmax(np.abs(np.fft.rfft(samples * np.hanning(len(samples))))) * RATE / len(samples)


JOINED = [("mp3", "libmp3lame", 22050), ("ogg", "libvorbis", 22050), ("ts", "mp2", 48000)]


@pytest.mark.parametrize("kind, codec, other", JOINED)
@pytest.mark.parametrize("turn", [1, -1])
def test_joined_files(media, ffmpeg, put_in, tmp_path, kind, codec, other, turn):
    """Another rate and other channels from the middle on, and clocks that start again."""
    parts = [(440, 44100, 1), (1000, other, 2)][::turn]
    joined = tmp_path / f"joined.{kind}"
    data = b""
    for index, (tone, rate, channels) in enumerate(parts):
        part = tmp_path / f"{index}.{kind}"
        source = ["-f", "lavfi", "-i", f"sine={tone}:r={rate}:d=2"]
        ffmpeg(*source, "-ac", channels, "-c:a", codec, part)
        data += part.read_bytes()
    joined.write_bytes(data)
    samples, info = heard(media, joined)
    assert info["rate"] == parts[0][1] and info["silence"] == 0
    for said in (samples, put_in(joined)):
        assert abs(len(said) / RATE - 4) < 0.15
        assert abs(loudest_tone(said[RATE // 2 : 3 * RATE // 2]) - parts[0][0]) < 3
        assert abs(loudest_tone(said[5 * RATE // 2 : 7 * RATE // 2]) - parts[1][0]) < 3


# ---- channels ------------------------------------------------------------------------------------


def mixed(media, write, *channels):
    path = write(np.stack(channels, axis=1).astype(np.int16), "x.wav")
    samples, info = heard(media, path)
    return samples, info["channel"], media.waveform(path, as_upstream=True)


def test_channels_that_cancel_each_other(media, write):
    voice, other, hum = noise(2), noise(2, seed=2), noise(2, seed=3) // 4
    alone = np.float32(1) / 32768
    for left, right, channel in [(voice, -voice, 1), (voice // 2, -voice, 2),
                                 (voice + hum, hum - voice, None)]:
        samples, chosen, plain = mixed(media, write, left, right)
        assert chosen == channel or channel is None and chosen
        assert np.array_equal(samples, (left, right)[chosen - 1] * alone)
        assert np.abs(plain).mean() < np.abs(samples).mean()
    half = np.where(np.arange(len(voice)) < len(voice) // 2, voice, -voice)
    samples, chosen, _ = mixed(media, write, half, voice)  # out of phase in one half only
    assert chosen and np.array_equal(samples, (half, voice)[chosen - 1] * alone)
    # a voice in two of six
    samples, chosen, _ = mixed(media, write, voice, -voice, *[hum // 50] * 4)
    assert chosen == 1 and np.array_equal(samples, voice * alone)
    # ordinary sound is averaged
    for channels in ([voice, voice], [voice, other], [voice, 0 * voice], [voice, voice // 2],
                     [hum, voice, hum], [0 * voice, 0 * voice], [voice, (other - voice) // 3]):
        samples, chosen, plain = mixed(media, write, *channels)
        assert chosen == 0 and np.array_equal(samples, plain)
        mean = np.mean(np.stack(channels) * alone, axis=0, dtype=np.float32)
        assert np.abs(samples - mean).max() < 1e-7


def test_channels_that_cancel_after_joining(media, ffmpeg, tmp_path):
    """One channel first, then two of which the first is heard alone."""
    data = b""
    for index, layout in enumerate(["mono|c0=c0", "stereo|c0=c0|c1=-1*c0"]):
        part = tmp_path / f"{index}.ogg"
        ffmpeg("-f", "lavfi", "-i", "sine=440:r=44100:d=2", "-af", f"pan={layout}", "-c:a",
               "libvorbis", part)
        data += part.read_bytes()
    (tmp_path / "x.ogg").write_bytes(data)
    samples, info = heard(media, tmp_path / "x.ogg")
    assert info["channel"] in (1, 2)
    for start in (RATE // 2, 5 * RATE // 2):
        assert np.abs(samples[start : start + RATE]).max() > 0.05


@pytest.mark.parametrize("name, codec", [("x.mkv", media_library.FFV1),
                                         ("x.avi", media_library.MJPEG)], ids=["float", "int16"])
def test_a_voice_in_the_middle_keeps_its_level_in_a_mix(media, tmp_path, name, codec):
    """Added to a silent voice of other channels: from left and right alike, or from the centre."""
    voice, nobody = noise(0.5) / 65536, np.zeros(RATE // 2)
    silent, out = tmp_path / "silent.wav", tmp_path / name
    frames = [np.zeros((48, 64, 3), np.uint8)] * 12
    sides = {1: [0], 2: [0, 1], 6: [0, 1]}
    for inputs in (1, 2, 6):
        kinds = [sides[inputs]] + ([[2]] if inputs == 6 else [])
        for outputs in (1, 2, 6):
            for kind in kinds:
                said = np.stack([voice if c in kind else nobody for c in range(inputs)], axis=1)
                soundfile.write(tmp_path / "said.wav", said, RATE, subtype="FLOAT")
                soundfile.write(silent, np.zeros((RATE // 2, outputs)), RATE, subtype="FLOAT")
                also = (C.c_char_p * 1)(str(tmp_path / "said.wav").encode())
                media.encode(out, frames, audio=silent, codec=codec,
                             audio_also=C.cast(also, C.c_void_p), audio_also_count=1)
                raw = subprocess.run(["ffmpeg", "-v", "error", "-i", out, "-f", "f32le", "-c:a",
                                      "pcm_f32le", "-"], capture_output=True, check=True).stdout
                heard_now = np.frombuffer(raw, np.float32).reshape(-1, outputs)
                level = max(np.abs(heard_now).max(axis=0)) / np.abs(voice).max()
                assert abs(level - 1) < 0.001, (inputs, outputs, kind, level)

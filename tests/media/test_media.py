"""Media against the real things: OpenCV, librosa, resampy, libsndfile, ffmpeg and ffprobe."""

import json
import subprocess

import numpy as np
import pytest

import media_library
from media_library import FFV1, H264, HEVC, MJPEG

MEL_TOLERANCE = 1e-6  # on the scale of -4..4
SAMPLE_TOLERANCE = 1e-7  # float32 rounding of samples below 2


def ffmpeg_frames(run, path, width, height, *options):
    """What ffmpeg decodes, with exact rounding, one picture for every picture of the file."""
    raw = run(*options, "-i", path, "-sws_flags",
              "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp", "-vsync", "0", "-f",
              "rawvideo", "-pix_fmt", "bgr24", "-")
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def ffprobe(path):
    done = subprocess.run(["ffprobe", "-v", "error", "-show_streams", "-of", "json", str(path)],
                          capture_output=True, text=True, check=True)
    streams = json.loads(done.stdout)["streams"]
    return {stream["codec_type"]: stream for stream in streams}


def noise_frames(count, width, height, seed=0):
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (height, width, 3), dtype=np.uint8) for _ in range(count)]


# ---- pixels ----


def test_resize_equals_opencv(media):
    cv2 = pytest.importorskip("cv2")
    generator, resize = np.random.default_rng(1), media.resizer()
    for round_ in range(600):
        channels = int(generator.choice([1, 3, 4]))
        largest = int(generator.choice([5, 40, 300]))
        sw, sh, dw, dh = (int(v) for v in generator.integers(1, largest, 4))
        if round_ % 7 == 0:
            dw, dh = sw, sh
        if round_ % 7 == 1:
            sw, sh = 2 * dw, 2 * dh
        if round_ % 7 == 2:
            dw = dh = 96
        if round_ % 7 == 3:
            sw = sh = 96
        image = generator.integers(0, 256, (sh, sw, channels), dtype=np.uint8)
        if round_ % 5 == 0:
            image = (image > 127).astype(np.uint8) * 255
        expected = cv2.resize(image, (dw, dh)).reshape(dh, dw, channels)
        assert np.array_equal(resize(image, dw, dh), expected), (sw, sh, dw, dh, channels)


def test_antialias_equals_pillow(media):
    """All of it, and a part as if cut out of it."""
    Image = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(2)
    for round_ in range(400):
        channels = int(generator.choice([1, 3, 4]))
        largest = int(generator.choice([4, 40, 400]))
        sw, sh, dw, dh = (int(v) for v in generator.integers(1, largest, 4))
        if round_ % 7 == 0:
            dw, dh = sw, sh
        if round_ % 7 == 1:
            sw, sh = 2 * dw, 3 * dh
        if round_ % 50 == 2:
            sw, sh, dw, dh = 9000, 3, 1, 2
        image = generator.integers(0, 256, (sh, sw, channels), dtype=np.uint8)
        if round_ % 5 == 0:
            image = (image > 127).astype(np.uint8) * 255
        # Pillow scales four bands as they are only where none of them is alpha.
        known = Image.fromarray(image.squeeze(2) if channels == 1 else image,
                                {1: "L", 3: "RGB", 4: "CMYK"}[channels])
        expected = np.asarray(known.resize((dw, dh), Image.BILINEAR)).reshape(dh, dw, channels)
        whole = media.antialias(image, (dw, dh), (0, 0, dw, dh))
        assert np.array_equal(whole, expected), (sw, sh, dw, dh, channels)
        left, top = int(generator.integers(0, dw)), int(generator.integers(0, dh))
        box = (left, top, int(generator.integers(1, dw - left + 1)),
               int(generator.integers(1, dh - top + 1)))
        part = media.antialias(image, (dw, dh), box)
        assert np.array_equal(part, expected[top : top + box[3], left : left + box[2]]), box


def test_antialias_refuses_what_lies_outside(media):
    image = np.zeros((4, 5, 3), np.uint8)
    for size, box in [((3, 3), (0, 0, 4, 3)), ((3, 3), (1, 0, 3, 3)), ((3, 3), (-1, 0, 2, 2)),
                      ((0, 3), (0, 0, 1, 1)), ((20000, 3), (0, 0, 1, 1))]:
        with pytest.raises(media_library.Failure, match="cannot scale 5x4"):
            media.antialias(image, size, box)


def test_lanczos_equals_pillow(media):
    """Planes of floats, scaled by one resampler, whose tables must follow the sizes."""
    Image = pytest.importorskip("PIL.Image")
    generator, scale = np.random.default_rng(3), media.lanczos()
    for round_ in range(300):
        largest = int(generator.choice([4, 40, 400]))
        sw, sh, dw, dh = (int(v) for v in generator.integers(1, largest, 4))
        if round_ % 7 == 0:
            dw = sw
        if round_ % 7 in (1, 2):
            dh = sh
        if round_ % 14 == 2:
            dw = sw
        if round_ % 7 == 3:
            dw, dh = 96, 96
        if round_ % 7 == 4:
            sw, sh = 96, 96
        if round_ % 50 == 5:
            sw, sh, dw, dh = 9000, 3, 1, 2
        planes = generator.random((1 + round_ % 3, sh, sw), np.float32)
        if round_ % 5 == 0:
            planes = (planes > 0.5).astype(np.float32)
        found = scale(planes, dw, dh)
        expected = np.array([np.asarray(Image.fromarray(plane, "F").resize((dw, dh), Image.LANCZOS))
                             for plane in planes])
        assert np.abs(found - expected).max() < 2e-6, (sw, sh, dw, dh)
        if (dw, dh) == (sw, sh):
            assert np.array_equal(found, planes)


def test_images_equal_opencv(media, tmp_path):
    cv2 = pytest.importorskip("cv2")
    (colour,) = noise_frames(1, 37, 29)
    alpha = np.dstack([colour, colour[:, :, :1]])
    written = {"colour.png": colour, "grey.png": colour[:, :, 0], "alpha.png": alpha,
               "deep.png": colour.astype(np.uint16) * 201, "colour.bmp": colour,
               "grey.bmp": colour[:, :, 0]}
    for name, image in written.items():
        path = tmp_path / name
        assert cv2.imwrite(str(path), image)
        assert np.array_equal(media.load_image(path), cv2.imread(str(path))), name
    smooth = cv2.GaussianBlur(cv2.resize(colour, (160, 120)), (9, 9), 3)
    for options in ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]):
        path = tmp_path / "photo.jpg"
        assert cv2.imwrite(str(path), smooth, options)
        difference = np.abs(media.load_image(path).astype(int) - cv2.imread(str(path)))
        assert difference.max() <= 3 and difference.mean() < 0.2  # another inverse DCT


# ---- sound ----


def reference_mel(samples):
    librosa = pytest.importorskip("librosa")
    signal = pytest.importorskip("scipy.signal")
    emphasised = signal.lfilter([1, -0.97], [1], samples)
    spectrum = np.abs(librosa.stft(y=emphasised, n_fft=800, hop_length=200, win_length=800,
                                   pad_mode="reflect"))
    bank = librosa.filters.mel(sr=16000, n_fft=800, n_mels=80, fmin=55, fmax=7600)
    decibels = 20 * np.log10(np.maximum(1e-5, bank @ spectrum)) - 20
    return np.clip(8 * ((decibels + 100) / 100) - 4, -4, 4)


def reference_resample(samples, rate):
    """resampy's own loop with the table and the summed-up time of version 0.2.2."""
    interpn = pytest.importorskip("resampy.interpn")
    ratio = 16000.0 / rate
    count, rolloff = int(len(samples) * ratio), 0.9475937167399596
    window = rolloff * np.sinc(rolloff * np.linspace(0, 64, 32769))
    window *= np.kaiser(65537, 14.769656459379492)[32768:] * min(1.0, ratio)
    delta = np.diff(window, append=window[-1])
    times = np.concatenate([[0.0], np.cumsum(np.full(max(count - 1, 0), 1.0 / ratio))])
    out = np.zeros(count)
    interpn._resample_loop_s(samples.astype(np.float64), times, window, delta, 512,
                             min(1.0, ratio), out)
    return np.pad(out, (0, int(np.ceil(len(samples) * ratio)) - count))


@pytest.mark.parametrize("count", [3000, 3199, 3200, 16000, 54321])
def test_mel_equals_librosa(media, count):
    samples = np.random.default_rng(count).standard_normal(count).astype(np.float32) * 0.1
    ours, reference = media.mel(samples, 997), reference_mel(samples)
    assert ours.shape == reference.shape
    assert np.abs(ours - reference).max() < MEL_TOLERANCE


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 32000, 44100, 47999, 48000, 96000, 768000])
def test_resampler_equals_resampy(media, rate):
    generator = np.random.default_rng(rate)
    samples = (0.3 * generator.standard_normal(rate // 2 + 1)).astype(np.float32)
    reference = reference_resample(samples, rate)
    for block in (1 << 20, 331):
        ours = media.resample(samples, rate, block)
        assert len(ours) == len(reference)
        assert np.abs(ours - reference).max() < SAMPLE_TOLERANCE


@pytest.mark.parametrize("fps", [12.5, 23.976023976, 24, 25, 29.97, 30, 50, 59.94, 60])
def test_chunks_follow_upstream(media, fps):
    for columns in [*range(16, 120), 881, 40000]:
        starts, index = [], 0
        while True:
            start = int(index * (80.0 / fps))
            if start + 16 > columns:
                starts.append(columns - 16)
                break
            starts.append(start)
            index += 1
        count = media.lib.rml_mel_chunk_count(columns, fps)
        assert count == len(starts)
        assert starts == [media.lib.rml_mel_chunk_start(columns, fps, i) for i in range(count)]


@pytest.mark.parametrize("kind", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_wav_files_equal_libsndfile(media, tmp_path, kind, rate):
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / "x.wav"
    written = np.clip(0.2 * np.random.default_rng(0).standard_normal((rate, 2)), -1, 1)
    soundfile.write(path, written, rate, subtype=kind)
    mono = np.mean(soundfile.read(path, dtype="float32")[0].T, axis=0)
    ours = media.waveform(path)
    if rate == 16000:
        assert np.array_equal(ours, mono)
    else:
        mono = reference_resample(mono, rate).astype(np.float32)
        assert len(ours) == len(mono) and np.abs(ours - mono).max() < SAMPLE_TOLERANCE
    mel, info = media.speech_mel(path)
    assert info["native_samples"] == rate and info["seconds"] == 1.0
    assert np.abs(mel - reference_mel(mono)).max() < MEL_TOLERANCE


def test_real_sound(media, ffmpeg, shared_data):
    for name in ("jfk.wav", "librispeech_1320_00000.mp3", "talking_head_1080x1920_hevc.mp4"):
        path = shared_data / "media" / name
        mel, info = media.speech_mel(path)
        raw = np.frombuffer(ffmpeg("-i", path, "-f", "f32le", "-"), np.float32)
        mono = raw.reshape(-1, info["channels"]).mean(axis=1, dtype=np.float32)
        assert len(mono) == info["native_samples"]
        if info["rate"] != 16000:
            mono = reference_resample(mono, info["rate"]).astype(np.float32)
        assert np.abs(mel - reference_mel(mono)).max() < MEL_TOLERANCE


@pytest.mark.parametrize("samples, words", [(1000, "too short"), (None, "not a number")])
def test_bad_sound_is_named(media, tmp_path, samples, words):
    soundfile = pytest.importorskip("soundfile")
    data = np.zeros(samples or 44100, np.float32)
    if samples is None:
        data[20000] = np.nan
    path = tmp_path / "bad.wav"
    soundfile.write(path, data, 44100, subtype="FLOAT")
    with pytest.raises(media_library.Failure, match=f"bad.wav.*{words}"):
        media.speech_mel(path)


# ---- decoding ----

FORMATS = {
    "h264.mp4": ["-c:v", "libx264", "-pix_fmt", "yuv420p"],
    "bt709.mp4": ["-vf", "scale=out_color_matrix=bt709", "-c:v", "libx264", "-pix_fmt", "yuv420p",
                  "-colorspace", "bt709"],
    "full.mp4": ["-vf", "scale=out_range=pc", "-color_range", "pc", "-c:v", "libx264", "-pix_fmt",
                 "yuv420p"],
    "444.mp4": ["-c:v", "libx264", "-pix_fmt", "yuv444p"],
    "10bit.mp4": ["-c:v", "libx264", "-pix_fmt", "yuv420p10le"],
    "bt2020.mp4": ["-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le",
                   "-colorspace", "bt2020nc"],
    "prores.mov": ["-c:v", "prores_ks", "-pix_fmt", "yuv422p10le"],
    "alpha.webm": ["-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-b:v", "1M"],
    "anim.gif": [],
    "mjpeg.avi": ["-c:v", "mjpeg", "-q:v", "2"],
    "divx.avi": ["-c:v", "mpeg4"],
    "raw.h264": ["-c:v", "libx264", "-f", "h264"],
    "stream.ts": ["-c:v", "libx264"],
    "planar.mkv": ["-c:v", "ffv1", "-pix_fmt", "gbrp"],
    "packed.mkv": ["-c:v", "ffv1", "-pix_fmt", "bgr0"],
}


@pytest.mark.parametrize("name", FORMATS)
def test_decoding_equals_ffmpeg(media, ffmpeg, tmp_path, name):
    path = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", "testsrc2=d=0.5:s=178x102:r=25", *FORMATS[name], path)
    frames, times, info = media.video(path)
    assert np.array_equal(np.array(frames), ffmpeg_frames(ffmpeg, path, 178, 102))
    assert np.allclose(times, np.arange(len(frames)) / 25, atol=0.006)  # GIF counts hundredths
    assert info["frame_rate"].pair() == (25, 1)


def test_real_video_equals_ffmpeg(media, ffmpeg, shared_data):
    path = shared_data / "media" / "talking_head_1080x1920_hevc.mp4"
    frames, times, info = media.video(path, limit=20)
    expected = ffmpeg_frames(ffmpeg, path, 1080, 1920, "-t", "0.8")
    assert len(expected) == 20 and np.array_equal(np.array(frames), expected)
    assert info["frames_estimate"] == 250 and info["colour"].matrix == 1
    assert np.allclose(times, np.arange(20) / 25)


@pytest.mark.parametrize("degrees, turns", [(90, 1), (180, 2), (270, 3)])
def test_rotation_is_applied(media, ffmpeg, tmp_path, degrees, turns):
    source, path = tmp_path / "source.mp4", tmp_path / "turned.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=d=0.2:s=178x102:r=25", "-c:v", "libx264", source)
    ffmpeg("-i", source, "-c", "copy", "-metadata:s:v", f"rotate={degrees}", path)
    coded, _, _ = media.video(path, ignore_orientation=True)
    upright, _, info = media.video(path)
    assert info["orientation"] != 1
    assert all(np.array_equal(a, np.rot90(b, turns)) for a, b in zip(upright, coded))
    height, width = upright[0].shape[:2]
    shown = ffmpeg_frames(ffmpeg, path, width, height).astype(int)  # turned before conversion
    assert np.abs(upright[0] - shown[0]).mean() < 0.1


# ---- encoding ----


@pytest.mark.parametrize("name", ["x.mkv", "x.avi"])
def test_ffv1_loses_nothing(media, ffmpeg, tmp_path, name):
    path = tmp_path / name
    frames = noise_frames(12, 83, 61)
    summary = media.encode(path, frames, codec=FFV1)
    assert summary.frames == 12
    assert np.array_equal(np.array(media.video(path)[0]), np.array(frames))
    assert np.array_equal(ffmpeg_frames(ffmpeg, path, 83, 61), np.array(frames))
    cv2 = pytest.importorskip("cv2")
    capture = cv2.VideoCapture(str(path))
    assert all(np.array_equal(capture.read()[1], frame) for frame in frames)
    assert capture.get(cv2.CAP_PROP_FPS) == 25 and not capture.read()[0]


@pytest.mark.parametrize("rate", [(24000, 1001), (24, 1), (25, 1), (30000, 1001), (50, 1), (60, 1)])
def test_rates_are_exact(media, ffmpeg, tmp_path, rate):
    path = tmp_path / "x.mp4"
    media.encode(path, noise_frames(20, 64, 48), base=(rate[1], rate[0]))
    stream = ffprobe(path)["video"]
    assert stream["r_frame_rate"] == stream["avg_frame_rate"] == f"{rate[0]}/{rate[1]}"
    assert int(stream["nb_frames"]) == 20 and float(stream["start_time"]) == 0
    times = media.video(path)[1]
    assert np.allclose(times, np.arange(20) * rate[1] / rate[0], atol=1e-9)


@pytest.mark.parametrize("name, codec, tolerance",
                         [("x.mp4", H264, 1e-9), ("x.mov", HEVC, 1e-9), ("x.mkv", FFV1, 0.00051)])
def test_variable_rate_is_kept(media, tmp_path, name, codec, tolerance):
    gaps = np.random.default_rng(3).integers(200, 2000, 29)
    pts = np.concatenate([[0], np.cumsum(gaps)])
    path = tmp_path / name
    media.encode(path, noise_frames(30, 64, 48), pts=pts, base=(1, 12800), codec=codec,
                 frame_rate=media_library.Rational(25, 1),
                 time_base=media_library.Rational(1, 12800))
    assert np.allclose(media.video(path)[1], pts / 12800, atol=tolerance)


@pytest.mark.parametrize("width, height, matrix", [(96, 64, "smpte170m"), (1280, 720, "bt709")])
@pytest.mark.parametrize("name, codec", [("x.mp4", H264), ("x.mp4", HEVC), ("x.avi", MJPEG)])
def test_colours_survive(media, ffmpeg, tmp_path, name, codec, width, height, matrix):
    path = tmp_path / name
    colours = [(0, 0, 0), (255, 255, 255), (0, 0, 255), (0, 255, 0), (255, 0, 0), (30, 120, 200)]
    frames = [np.full((height, width, 3), colour, np.uint8) for colour in colours]
    media.encode(path, frames, codec=codec, crf=-1 if codec == MJPEG else 1)
    stream = ffprobe(path)["video"]
    assert stream["color_space"] == ("bt470bg" if codec == MJPEG else matrix)
    for decoded in (media.video(path)[0], ffmpeg_frames(ffmpeg, path, width, height)):
        for frame, back in zip(frames, decoded):
            assert np.abs(frame.astype(int) - back).max() <= 1


def test_colour_description_is_kept(media, ffmpeg, tmp_path):
    path = tmp_path / "x.mp4"
    media.encode(path, noise_frames(3, 64, 48), colour=media_library.Colour(9, 16, 9, False))
    stream = ffprobe(path)["video"]
    assert stream["color_space"] == "bt2020nc" and stream["color_transfer"] == "smpte2084"
    assert stream["color_primaries"] == "bt2020" and stream["color_range"] == "tv"


def test_odd_sizes_lose_no_pixel(media, tmp_path):
    frames = [np.full((45, 71, 3), 90, np.uint8) for _ in range(3)]
    for frame in frames:
        frame[:, 40:] = 200
    media.encode(tmp_path / "x.mp4", frames, crf=1)
    decoded = media.video(tmp_path / "x.mp4")[0]
    assert decoded[0].shape == (46, 72, 3)
    assert np.abs(decoded[0][:45, :71].astype(int) - frames[0]).mean() < 0.5
    assert np.abs(decoded[0][45:].astype(int) - decoded[0][44:45]).max() <= 2


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("name, codec, sound", [
    ("x.mp4", H264, "aac"), ("x.mkv", H264, "aac"), ("x.mkv", FFV1, "pcm_s16le"),
    ("x.avi", MJPEG, "pcm_s16le")])
def test_sound_stays_in_step(media, ffmpeg, tmp_path, name, codec, sound, rate):
    soundfile = pytest.importorskip("soundfile")
    clicks, path = np.zeros((2 * rate, 2)), tmp_path / name
    for half in range(4):
        at = half * rate // 2 + 100
        clicks[at : at + 20] = 0.9
    soundfile.write(tmp_path / "clicks.wav", clicks, rate)
    frames = [np.zeros((48, 64, 3), np.uint8)] * 30
    for offset in (0.0, 0.2, -0.2):
        summary = media.encode(path, frames, audio=tmp_path / "clicks.wav", codec=codec,
                               audio_offset=offset)
        assert abs(summary.audio_seconds - (2 + offset)) < 1e-9
        stream = ffprobe(path)["audio"]
        # Without being moved it is copied where it fits.
        kept = "pcm_s16le" if offset == 0.0 and name == "x.mkv" else sound
        assert stream["codec_name"] == kept and int(stream["sample_rate"]) == rate
        assert stream["channels"] == 2
        raw = ffmpeg("-copyts", "-i", path, "-vn", "-af", "aresample=async=1:first_pts=0", "-ac",
                     "1", "-f", "f32le", "-")
        loud = np.flatnonzero(np.frombuffer(raw, np.float32) > 0.4)[0] / rate
        first = next(t for t in (h / 2 + 100 / rate + offset for h in range(4)) if t >= 0)
        assert abs(loud - first) < 0.001


def test_sound_length_can_be_limited(media, ffmpeg, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "long.wav", np.zeros(5 * 44100), 44100)
    summary = media.encode(tmp_path / "x.mp4", noise_frames(25, 64, 48),
                           audio=tmp_path / "long.wav", audio_seconds=1.5)
    assert summary.audio_seconds == 1.5
    assert abs(float(ffprobe(tmp_path / "x.mp4")["audio"]["duration"]) - 1.5) < 0.001


def test_real_sound_of_a_video(media, ffmpeg, shared_data, tmp_path):
    source = shared_data / "media" / "talking_head_1080x1920_hevc.mp4"
    frames = noise_frames(25, 64, 48)
    media.encode(tmp_path / "x.mkv", frames, codec=FFV1, audio=source)
    # Copied, with a codec's delay before zero where the source has one; and encoded without loss.
    assert ffprobe(tmp_path / "x.mkv")["audio"]["codec_name"] == "aac"
    summary = media.encode(tmp_path / "x.mkv", frames, codec=FFV1, audio=source,
                           audio_untimed=True)
    assert not summary.sound_copied and summary.sound_why == b"its times are ignored"
    assert ffprobe(tmp_path / "x.mkv")["audio"]["codec_name"] == "pcm_f32le"
    assert np.array_equal(media.waveform(tmp_path / "x.mkv"),
                          media.waveform(source, as_upstream=True))

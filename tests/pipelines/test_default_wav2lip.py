"""`wav2lip` without --compat: length, times, repetition, frames without a face, errors.

The box, where one is given, covers the face; everything outside it must stay as it is in the file.
"""

import json
import os
import re
import resource
import signal
import subprocess
import time

import cv2
import numpy as np
import pytest
import soundfile

from reference import clips

BOX = (30, 100, 50, 110)  # top bottom left right
LOSSLESS = ["--codec", "ffv1"]


def outside(box, shape):
    y1, y2, x1, x2 = box
    mask = np.ones(shape[:2], bool)
    mask[y1:y2, x1:x2] = False
    return mask


def assert_outside_kept(result, sources, box=BOX):
    assert len(result) == len(sources)
    for i, (got, source) in enumerate(zip(result, sources)):
        mask = outside(box, got.shape)
        assert (got == source)[mask].all(), f"frame {i}"
        assert (got != source)[~mask].any(), f"frame {i}: nothing was pasted"


# ---- length and times ----------------------------------------------------------------------------


@pytest.mark.parametrize("fps", ["24", "25", "30000/1001", "30", "50", "60"])
@pytest.mark.parametrize("seconds", [0.73, 2.011])
def test_as_long_as_the_audio(lipsync, voices, tmp_path, fps, seconds):
    frames = [clips.picture(i) for i in range(40)]
    face = clips.write_video(tmp_path / "in.mkv", frames, fps)
    out, _ = lipsync(face, voices(seconds), "--box", *BOX, *LOSSLESS)
    rate = clips.frame_rate(face)
    result = clips.read_video(out)
    length = len(result) / rate
    assert abs(length - seconds) <= 0.5 / rate + 1e-6
    times = clips.frame_times(out)
    assert len(times) == len(result)
    assert np.abs(np.array(times) - np.arange(len(times)) / rate).max() < 0.0011
    assert clips.frame_rate(out) == pytest.approx(rate, rel=2e-3)


def test_mp4_with_h264_and_aac_by_default(lipsync, voices, tmp_path):
    frames = [clips.picture(i) for i in range(40)]
    face = clips.write_video(tmp_path / "in.mkv", frames, "30000/1001")
    out, _ = lipsync(face, voices(2.011), "--box", *BOX, name="out.mp4")
    video, sound = clips.stream(out, "video"), clips.stream(out, "audio")
    assert (video["codec_name"], video["pix_fmt"]) == ("h264", "yuv420p")
    assert sound["codec_name"] == "aac"
    assert abs(float(video["duration"]) - 2.011) <= 0.5 * 1001 / 30000 + 0.001
    assert abs(float(sound["duration"]) - 2.011) <= 0.05
    indices = [clips.read_stamp(f) for f in clips.read_video(out)]
    assert indices[:40] == list(range(40))


def test_default_outfile(program, generator, voices, tmp_path):
    face = clips.write_video(tmp_path / "in.mkv", [clips.picture(i) for i in range(8)], 25)
    arguments = ["wav2lip", "--face", face, "--audio", voices(0.73), "--box", *BOX]
    program.run(*arguments, "--checkpoint_path", generator.file("zip"), cwd=tmp_path)
    assert [p.name for p in (tmp_path / "results").iterdir()] == ["result_voice.mp4"]


@pytest.mark.parametrize(
    "codec, name, expected",
    [("mjpeg", "o.mkv", "mjpeg"), ("hevc", "o.mp4", "hevc"), ("h264", "o.mov", "h264")],
)
def test_codecs(lipsync, voices, tmp_path, codec, name, expected):
    frames = [clips.picture(i) for i in range(20)]
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    out, _ = lipsync(face, voices(0.73), "--box", *BOX, "--codec", codec, name=name)
    assert clips.stream(out, "video")["codec_name"] == expected
    result = clips.read_video(out)
    assert [clips.read_stamp(f) for f in result] == list(range(18))
    mask = outside(BOX, result[0].shape)
    # Lossy, but the same picture: grey levels, not a shift by a row or swapped colours.
    assert np.abs(result[5].astype(int) - frames[5].astype(int))[mask].mean() < 6


def test_variable_rate_keeps_its_times(lipsync, voices, tmp_path):
    """Every third frame lasts twice as long."""
    frames = [clips.picture(i) for i in range(30)]
    even = clips.write_video(tmp_path / "even.mkv", frames, 25)
    face = tmp_path / "vfr.mkv"
    move = "setpts=(N+floor(N/3))*0.04/TB"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(even), "-vf", move, "-fps_mode", "vfr"]
    command += ["-c:v", "ffv1", "-pix_fmt", "bgr0", str(face)]
    subprocess.run(command, check=True)
    given = clips.frame_times(face)
    assert len(given) == 30 and given[4] == pytest.approx(0.2)
    out, _ = lipsync(face, voices(1.1), "--box", *BOX, *LOSSLESS)
    times = clips.frame_times(out)
    assert np.abs(np.array(times) - given[: len(times)]).max() <= 0.0015
    assert_outside_kept(clips.read_video(out), frames[: len(times)])
    # The last frame starts inside the sound, and none is missing at the end.
    assert times[-1] < 1.1 < given[len(times)] + 0.04


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_metadata(lipsync, voices, tmp_path, degrees):
    frames = [clips.picture(i) for i in range(20)]
    lossless = ["-c:v", "libx264rgb", "-crf", "0", "-preset", "ultrafast"]
    plain = clips.write_video(tmp_path / "plain.mp4", frames, 25, lossless)
    face = tmp_path / "turned.mp4"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(plain), "-c", "copy"]
    command += ["-metadata:s:v:0", f"rotate={degrees}", str(face)]
    subprocess.run(command, check=True)
    # What a player shows decides, not the sign conventions of the metadata.
    shown = tmp_path / "shown.mkv"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(face), "-c:v", "ffv1", "-pix_fmt", "bgr0"]
    subprocess.run([*command, str(shown)], check=True)
    upright = clips.read_video(shown)
    assert upright[0].shape[0] == (120 if degrees == 180 else 160)
    assert not (upright[3] == frames[3].reshape(upright[3].shape)).all()
    box = (20, 90, 20, 100)
    out, _ = lipsync(face, voices(0.73), "--box", *box, *LOSSLESS)
    assert_outside_kept(clips.read_video(out), upright[:18], box)


def test_audio_offset_moves_the_lips(lipsync, voices, tmp_path):
    """+200 ms at 25 fps: the lips of frame i are those that frame i + 5 has with twice the offset;
    the number and times of frames stay."""
    face = clips.write_video(tmp_path / "in.mkv", [clips.picture(0)] * 30, 25)
    results = {}
    for offset in (0, 200, -200):
        out, _ = lipsync(
            *[face, voices(1.1), "--box", *BOX, *LOSSLESS, "--audio-offset-ms", offset],
            name=f"out{offset}.mkv",
        )
        results[offset] = clips.read_video(out)
        assert clips.stream(out, "audio") is not None
    counts = {len(r) for r in results.values()}
    assert counts == {28} or counts == {27}
    mouth = (slice(40, 90), slice(60, 100))

    def best_shift(a, b):
        distances = {}
        for shift in range(-8, 9):
            pairs = [(i, i + shift) for i in range(9, 18) if 0 <= i + shift < len(b)]
            distances[shift] = np.mean(
                [np.abs(a[i][mouth].astype(int) - b[k][mouth].astype(int)).mean() for i, k in pairs]
            )
        return min(distances, key=distances.get)

    later, earlier = best_shift(results[0], results[200]), best_shift(results[0], results[-200])
    assert {abs(later), abs(earlier)} == {5} and later == -earlier


# ---- repetition ----------------------------------------------------------------------------------


def test_short_clip_goes_back_and_forth(lipsync, voices, tmp_path):
    frames = [clips.picture(i) for i in range(7)]
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    out, _ = lipsync(face, voices(1.2), "--box", *BOX, *LOSSLESS)
    there_and_back = [0, 1, 2, 3, 4, 5, 6, 5, 4, 3, 2, 1]
    order = [there_and_back[i % 12] for i in range(30)]
    result = clips.read_video(out)
    assert [clips.read_stamp(f) for f in result] == order
    assert_outside_kept(result, [frames[k] for k in order])


def test_loop(lipsync, voices, tmp_path):
    frames = [clips.picture(i) for i in range(7)]
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    out, _ = lipsync(face, voices(1.2), "--box", *BOX, *LOSSLESS, "--loop")
    order = [i % 7 for i in range(30)]
    result = clips.read_video(out)
    assert [clips.read_stamp(f) for f in result] == order
    assert_outside_kept(result, [frames[k] for k in order])


X264 = ["-c:v", "libx264", "-bf", "3", "-crf", "12", "-pix_fmt", "yuv420p"]
X265 = ["-c:v", "libx265", "-crf", "12", "-x265-params", "log-level=none:open-gop=1:keyint=20"]
CODED = {
    "one key frame": ("in.mp4", X264),
    "closed groups": ("in.mp4", [*X264, "-g", "25"]),
    "open groups": ("in.mkv", [*X264, "-x264-params", "open-gop=1:keyint=15:b-pyramid=normal"]),
    "open groups in HEVC": ("in.mp4", [*X265, "-pix_fmt", "yuv420p"]),
    "no key frame but the first": ("in.mkv", [*X264, "-x264-params", "intra-refresh=1"]),
    "fragments": ("in.mp4", [*X264, "-g", "20", "-movflags", "frag_keyframe+empty_moov"]),
    "a broadcast stream": ("in.ts", ["-c:v", "mpeg2video", "-bf", "2", "-g", "12", "-q:v", "3"]),
    "a stream without times": ("in.h264", [*X264, "-bf", "0", "-g", "20"]),
    "hidden frames": ("in.webm", ["-c:v", "libvpx", "-g", "20", "-auto-alt-ref", "1"]),
    "an old container": ("in.avi", ["-c:v", "mpeg4", "-bf", "2", "-g", "20", "-q:v", "3"]),
    "damage": ("in.mkv", [*X264, "-g", "25"]),
}


@pytest.mark.parametrize("kind", CODED, ids=lambda c: c.replace(" ", "-"))
def test_back_and_forth_through_coded_groups(lipsync, voices, tmp_path, kind):
    """Playing backwards goes to key frames. What comes out is what the first time through showed,
    also where a file cannot seek or a key frame is not enough to begin at."""
    count = 90
    name, codec = CODED[kind]
    frames = [clips.picture(i) for i in range(count)]
    face = clips.write_video(tmp_path / name, frames, 25, codec)
    if kind == "damage":
        coded = bytearray(face.read_bytes())
        for at in range(len(coded) // 3, len(coded), len(coded) // 9):
            coded[at] ^= 0x10
        face.write_bytes(coded)
    seconds = 2.3 * count / 25
    # Several threads decode what is damaged now so and now so.
    out, _ = lipsync(face, voices(seconds), "--box", *BOX, *LOSSLESS, "--threads", 1)
    result = clips.read_video(out)
    order = [min(i % (2 * count - 2), -i % (2 * count - 2)) for i in range(len(result))]
    mask = outside(BOX, result[0].shape)
    for i, source in enumerate(order):
        assert kind == "damage" or clips.read_stamp(result[i]) == source
        assert (result[i] == result[source])[mask].all(), f"frame {i}, which shows {source} again"


def test_one_frame_video_and_still(lipsync, voices, tmp_path):
    picture = clips.picture(5)
    face = clips.write_video(tmp_path / "in.mkv", [picture], 25)
    out, _ = lipsync(face, voices(0.73), "--box", *BOX, *LOSSLESS)
    assert_outside_kept(clips.read_video(out), [picture] * 18)
    (tmp_path / "dir").mkdir()
    cv2.imwrite(str(tmp_path / "dir" / "x.png"), picture)
    out, _ = lipsync(
        "./dir/x.png", voices(0.73), "--box", *BOX, *LOSSLESS, "--fps", 30, cwd=tmp_path
    )
    assert_outside_kept(clips.read_video(out), [picture] * 22)


# ---- faces ---------------------------------------------------------------------------------------


def with_gap(count=30, gap=range(8, 14)):
    frames = [
        clips.picture(i, face=None if i in gap else clips.moving_face(i)) for i in range(count)
    ]
    return frames, gap


def test_frames_without_a_face_pass_through(lipsync, voices, blob_detector, tmp_path):
    frames, gap = with_gap()
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    arguments = ["--s3fd", blob_detector.file("zip"), *LOSSLESS]
    out, done = lipsync(face, voices(1.2), *arguments)
    result = clips.read_video(out)
    assert len(result) == 30
    for i, (got, source) in enumerate(zip(result, frames)):
        assert (got == source).all() == (i in gap), f"frame {i}"
    # Reported as a time range: 8 / 25 s up to the end of frame 13.
    numbers = [float(n) for n in re.findall(r"\d+\.\d+", done.stderr + done.stdout)]
    assert any(abs(n - 0.32) < 0.011 for n in numbers)
    assert any(0.51 < n < 0.57 for n in numbers)
    out, done = lipsync(face, voices(1.2), *arguments, "--json")
    line = json.loads(done.stdout.splitlines()[-1])
    assert "0.32" in json.dumps(line)
    assert line["frames"] == 30


def test_strict_stops_at_the_first_frame_without_a_face(
    lipsync, voices, blob_detector, tmp_path
):
    frames, _ = with_gap()
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    arguments = ["--s3fd", blob_detector.file("zip"), *LOSSLESS, "--strict"]
    out, done = lipsync(face, voices(1.2), *arguments, code=1, name="strict.mkv")
    assert re.search(r"\b8\b|0\.32", done.stderr)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mkv"]
    # A gap behind the end of the audio is no gap.
    lipsync(face, voices(0.3), *arguments)


def test_faces_are_written_and_read_back(lipsync, voices, blob_detector, tmp_path):
    frames, gap = with_gap()
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    boxes = tmp_path / "faces.json"
    arguments = [face, voices(1.2), "--faces", boxes, *LOSSLESS]
    first, _ = lipsync(*arguments, "--s3fd", blob_detector.file("zip"), name="first.mkv")
    written = boxes.read_text()
    assert json.loads(written)
    second, _ = lipsync(*arguments, name="second.mkv")
    assert boxes.read_text() == written
    for a, b in zip(clips.read_video(first), clips.read_video(second), strict=True):
        assert (a == b).all()


def test_smoothing_stops_at_a_scene_cut(lipsync, voices, blob_detector, tmp_path):
    """The face jumps across the picture between two shots: no box may lie in between."""
    left, right = (50, 60), (112, 60)
    frames = [clips.picture(i, face=left if i < 10 else right) for i in range(20)]
    for frame in frames[10:]:
        frame[:] = clips.stamp((frame.astype(int) + 60).clip(0, 255).astype(np.uint8), 0)
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    out, _ = lipsync(face, voices(0.8), "--s3fd", blob_detector.file("zip"), *LOSSLESS)
    result = clips.read_video(out)

    def columns(i):
        changed = np.nonzero((result[i] != frames[i]).any(axis=(0, 2)))[0]
        return changed.min(), changed.max()

    assert columns(9) == columns(2)
    assert columns(10) == columns(17)
    assert columns(9)[1] < columns(10)[1] - 30


def test_soft_edge(lipsync, voices, tmp_path):
    """The generated face fades out towards the edge of its box: the step there is smaller than with
    --compat."""
    frames = [np.full((120, 160, 3), 128, np.uint8)] * 10
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    steps = {}
    for name, extra in (("soft", []), ("hard", ["--compat"])):
        out, _ = lipsync(
            face, voices(0.5), "--box", *BOX, *LOSSLESS, *extra, name=f"{name}.mkv"
        )
        picture = clips.read_video(out)[4].astype(int)
        y1, y2, x1, x2 = BOX
        edge = np.concatenate([picture[y1, x1:x2], picture[y2 - 1, x1:x2], picture[y1:y2, x1]])
        steps[name] = np.abs(edge - 128).mean()
    assert steps["soft"] < 0.5 * steps["hard"]


# ---- what is refused -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def good_clip(tmp_path_factory):
    frames = [clips.picture(i) for i in range(20)]
    return clips.write_video(tmp_path_factory.mktemp("good") / "in.mkv", frames, 25)


def nan_voice(path):
    x = clips.voice(0.8).astype(np.float32)
    x[3000:3100] = np.nan
    soundfile.write(path, x, 16000, subtype="FLOAT")
    return path


BAD = {
    "no such video": lambda f: {"--face": f / "none.mp4"},
    "no such audio": lambda f: {"--audio": f / "none.wav"},
    "video is text": lambda f: {"--face": text_file(f / "a.mp4")},
    "audio is text": lambda f: {"--audio": text_file(f / "a.wav")},
    "empty video": lambda f: {"--face": empty_file(f / "a.mp4")},
    "image is text": lambda f: {"--face": text_file(f / "a.png")},
    "audio without sound": lambda f: {"--audio": silent_video(f / "mute.mp4")},
    "audio too short": lambda f: {"--audio": clips.write_voice(f / "s.wav", 0.1)},
    "audio with NaN": lambda f: {"--audio": nan_voice(f / "nan.wav")},
    "video without pictures": lambda f: {"--face": clips.write_voice(f / "s.wav", 1.0)},
    "box outside": lambda f: {"--box": (30, 130, 50, 110)},
    "box outside to the right": lambda f: {"--box": (30, 100, 50, 170)},
    "empty box": lambda f: {"--box": (60, 60, 50, 110)},
    "box upside down": lambda f: {"--box": (90, 60, 50, 110)},
    "no such checkpoint": lambda f: {"--checkpoint_path": f / "none.pth"},
    "checkpoint is a web page": lambda f: {"--checkpoint_path": web_page(f / "w.pth")},
    "result below a file": lambda f: {"--outfile": text_file(f / "a.txt") / "o.mkv"},
    "video is a device": lambda f: {"--face": "/dev/zero"},
    "audio is a device": lambda f: {"--audio": "/dev/null"},
    "result is a folder": lambda f: {"--outfile": f},
    "unknown container": lambda f: {"--outfile": f / "out.unknown"},
    "crop leaves nothing": lambda f: {"--crop": (50, 50, 0, -1)},
    "resize leaves nothing": lambda f: {"--resize_factor": 500},
}


def text_file(path):
    path.write_text("not a media file\n" * 50)
    return path


def empty_file(path):
    path.write_bytes(b"")
    return path


def web_page(path):
    path.write_text("<!DOCTYPE html><html><body>404</body></html>")
    return path


def silent_video(path):
    return clips.write_video(path, [clips.picture(0)] * 5, 25, ("-c:v", "mpeg4"))


@pytest.mark.parametrize("case", BAD, ids=lambda c: c.replace(" ", "-"))
def test_refused_in_one_sentence(program, generator, good_clip, voices, tmp_path, case):
    made, results = tmp_path / "made", tmp_path / "results"
    made.mkdir()
    results.mkdir()
    options = {
        "--face": good_clip,
        "--audio": voices(0.8),
        "--checkpoint_path": generator.file("zip"),
        "--outfile": results / "out.mkv",
        "--box": BOX,
    }
    options.update(BAD[case](made))
    before = {p for p in tmp_path.rglob("*")}
    arguments = ["wav2lip", "--codec", "ffv1", "--quiet"]
    for name, value in options.items():
        arguments += [name, *(value if isinstance(value, tuple) else (value,))]
    done = program.run(*arguments, code=None)
    assert done.returncode in (1, 2)
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert not done.stdout.strip()
    assert {p for p in tmp_path.rglob("*")} == before


def test_no_face_at_all(lipsync, good_clip, voices, blob_detector, tmp_path):
    """Nothing to sync in the whole clip: everything passes through, and it is said."""
    out, done = lipsync(good_clip, voices(0.8), "--s3fd", blob_detector.file("zip"), *LOSSLESS)
    for got, source in zip(clips.read_video(out), clips.read_video(good_clip), strict=True):
        assert (got == source).all()
    assert "face" in done.stderr


def test_full_disk_leaves_nothing(program, generator, good_clip, voices, tmp_path):
    """A limit on the size of files stands for a disk that runs full while frames are written."""

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    command = program.command(
        *["wav2lip", "--face", good_clip, "--audio", voices(3.0), "--box", *BOX, *LOSSLESS],
        *["--checkpoint_path", generator.file("zip"), "--outfile", tmp_path / "out.mkv"],
    )
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, timeout=120)
    assert done.returncode == 1, done.stderr
    assert done.stderr.strip()
    assert not list(tmp_path.iterdir())


def test_an_older_result_survives_a_failure(lipsync, voices, blob_detector, tmp_path):
    frames, _ = with_gap()
    face = clips.write_video(tmp_path / "in.mkv", frames, 25)
    (tmp_path / "out.mkv").write_bytes(b"older")
    arguments = ["--s3fd", blob_detector.file("zip"), *LOSSLESS, "--strict"]
    lipsync(face, voices(1.2), *arguments, code=1)
    assert (tmp_path / "out.mkv").read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(program, generator, good_clip, voices, tmp_path, stop):
    command = program.command(
        *["wav2lip", "--face", good_clip, "--audio", voices(60.0), "--box", *BOX, *LOSSLESS],
        *["--checkpoint_path", generator.file("zip"), "--outfile", tmp_path / "out.mkv"],
        *["--cpu", "portable", "--threads", 1],
    )
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    assert process.poll() is None, "it ended before it could be interrupted"
    os.kill(process.pid, stop)
    assert process.wait(timeout=30) != 0
    assert not (tmp_path / "out.mkv").exists()

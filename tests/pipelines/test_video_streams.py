"""Streams as people have them: damage, sizes that change midway."""

import json
import shutil
import subprocess

import numpy as np
import pytest

from reference import clips

BOX = (30, 100, 50, 110)  # top bottom left right
H264 = ["-c:v", "libx264", "-bf", "2", "-g", "20", "-pix_fmt", "yuv420p"]

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="needs ffmpeg and ffprobe"
)


def ffmpeg(*arguments, **settings):
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, **settings)
    if done.returncode:
        pytest.skip(f"this ffmpeg cannot: {done.stderr.decode()[:200]}")
    return done.stdout


# ---- damage --------------------------------------------------------------------------------------

DAMAGED = {
    "in.mkv": H264,
    "in.ts": H264,
    "in.avi": ["-c:v", "mpeg4", "-q:v", "3"],
    "in.webm": ["-c:v", "libvpx", "-b:v", "1M", "-deadline", "realtime"],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_comes_out_the_same_each_time(lipsync, voices, tmp_path, name):
    """What decoders mend must not depend on how their threads happen to run."""
    face = tmp_path / name
    clips.write_video(face, [clips.picture(i, 320, 240) for i in range(75)], 25, DAMAGED[name])
    coded = bytearray(face.read_bytes())
    chance = np.random.default_rng(5)
    for at in chance.integers(len(coded) // 4, len(coded) * 9 // 10, 24):
        coded[at] ^= 1 << chance.integers(8)
    face.write_bytes(coded)
    results, told = [], []
    for threads in (1, 2, 2):
        out, done = lipsync(
            *[face, voices(3.0), "--box", *BOX, "--codec", "mjpeg", "--threads", threads, "--json"],
            name=f"{len(results)}.avi",
        )
        results.append(out.read_bytes())
        told.append(json.loads(done.stdout.splitlines()[-1])["damaged_video_packets"])
    assert results[1:] == results[:-1]
    # VP8 has nothing by which damage could be told.
    assert set(told) == {told[0]} and (told[0] > 0 or name == "in.webm")


def test_no_damage_is_told_of_a_good_clip(lipsync, voices, tmp_path):
    face = clips.write_video(tmp_path / "in.mp4", [clips.picture(i) for i in range(30)], 25, H264)
    _, done = lipsync(face, voices(0.73), "--box", *BOX, "--json")
    assert json.loads(done.stdout.splitlines()[-1])["damaged_video_packets"] == 0


# ---- sizes ---------------------------------------------------------------------------------------


def card(width, height):
    """A white circle on grey, to see what becomes of its shape."""
    yy, xx = np.mgrid[0:height, 0:width]
    inside = (xx - width / 2) ** 2 + (yy - height / 2) ** 2 < (0.4 * min(width, height)) ** 2
    return np.where(inside[..., None], 255, 128).astype(np.uint8).repeat(3, axis=2)


def bounds(picture, level):
    """Of what is brighter: left, right, top, bottom."""
    mask = picture.mean(axis=2) > level
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return columns[0], columns[-1] + 1, rows[0], rows[-1] + 1


@pytest.mark.parametrize(
    "size, inside",
    [
        ((120, 160), (35, 125, 0, 120)),  # turned: 160x120 holds 90x120 of it
        ((320, 240), (0, 160, 0, 120)),  # the same shape, larger
        ((320, 120), (0, 160, 30, 90)),
        ((96, 96), (20, 140, 0, 120)),
        ((2000, 16), (0, 160, 59, 61)),
    ],
)
@pytest.mark.parametrize("name", ["in.ts", "in.h264"])
def test_another_size_midway_keeps_its_aspect(lipsync, voices, tmp_path, size, inside, name):
    codec = ["-c:v", "libx264", "-crf", "4", "-bf", "0", "-pix_fmt", "yuv420p", "-f"]
    codec += ["mpegts" if name == "in.ts" else "h264"]
    parts = []
    for i, (width, height) in enumerate([(160, 120), size, (160, 120)]):
        part = tmp_path / f"part{i}"
        offset = ["-output_ts_offset", str(i * 0.32)]
        clips.write_video(part, [card(width, height)] * 8, 25, codec, offset)
        parts.append(part.read_bytes())
    (tmp_path / name).write_bytes(b"".join(parts))
    out, _ = lipsync(tmp_path / name, voices(0.96), "--box", 59, 61, 76, 84, "--codec", "ffv1")
    result = clips.read_video(out)
    assert len(result) == 24
    for i, picture in enumerate(result):
        assert picture.shape == (120, 160, 3)
        shown = bounds(picture, 60)
        if 8 <= i < 16:
            assert np.abs(np.subtract(shown, inside)).max() <= 1
            if size[1] > 90:
                circle = bounds(picture, 190)
                assert abs((circle[1] - circle[0]) - (circle[3] - circle[2])) <= 2
        else:
            assert shown == (0, 160, 0, 120)


def test_another_pixel_aspect_midway(lipsync, voices, tmp_path):
    """720x576 of a wide picture after 4:3: players show both at their own shape."""
    parts = []
    for i, (sar, width) in enumerate([("1/1", 160), ("2/1", 80)]):
        part = tmp_path / f"part{i}"
        codec = ["-vf", f"setsar={sar}", "-c:v", "libx264", "-crf", "4", "-bf", "0"]
        codec += ["-pix_fmt", "yuv420p", "-f", "h264"]
        clips.write_video(part, [card(width, 120)] * 8, 25, codec)
        parts.append(part.read_bytes())
    (tmp_path / "in.h264").write_bytes(b"".join(parts))
    out, _ = lipsync(
        tmp_path / "in.h264", voices(0.64), "--box", 59, 61, 76, 84, "--codec", "ffv1"
    )
    result = clips.read_video(out)
    assert [bounds(p, 60) for p in result] == [(0, 160, 0, 120)] * 16

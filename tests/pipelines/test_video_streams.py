"""Streams as people have them: damage, sizes that change midway, fields, names."""

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
def test_another_size_midway_keeps_its_aspect(lipsync, voices, tmp_path, size, inside):
    codec = ["-c:v", "libx264", "-crf", "4", "-bf", "0", "-pix_fmt", "yuv420p", "-f", "mpegts"]
    parts = []
    for i, (width, height) in enumerate([(160, 120), size, (160, 120)]):
        part = tmp_path / f"part{i}"
        offset = ["-output_ts_offset", str(i * 0.32)]
        clips.write_video(part, [card(width, height)] * 8, 25, codec, offset)
        parts.append(part.read_bytes())
    (tmp_path / "in.ts").write_bytes(b"".join(parts))
    out, _ = lipsync(tmp_path / "in.ts", voices(0.96), "--box", 59, 61, 76, 84, "--codec", "ffv1")
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


# ---- fields --------------------------------------------------------------------------------------


def read_exact(path):
    """All pictures, in the conversion of the program."""
    flags = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
    raw = ffmpeg("-i", path, "-sws_flags", flags, "-fps_mode", "passthrough", "-f", "rawvideo",
                 "-pix_fmt", "bgr24", "-")
    return list(np.frombuffer(raw, np.uint8).reshape(-1, 120, 160, 3))


def write_fields(path, order, codec, motion=True):
    """25 frames a second, each woven of two pictures of a 50th; lossless. The pictures of which the
    first fields are."""
    yy, xx = np.mgrid[0:120, 0:160]
    pictures = []
    for i in range(48):
        shift = 3 * i * motion
        grey = 120 + 50 * np.sin((xx - shift) / 6) + 40 * np.sin((yy + xx / 3) / 5)
        pictures.append(grey[..., None].repeat(3, axis=2).round().astype(np.uint8))
    plain = clips.write_video(
        path.with_suffix(".whole.mkv"), pictures, 50, ["-c:v", "ffv1", "-pix_fmt", "yuv420p"]
    )
    weave = f"interlace=scan={order}:lowpass=off"
    ffmpeg("-i", plain, "-vf", weave, *codec, path)
    return read_exact(plain)[::2]


FIELDS = ["-c:v", "libx264", "-crf", "0", "-flags", "+ildct+ilme", "-x264opts"]


def codec_of(order):
    return [*FIELDS, "tff=1" if order == "tff" else "bff=1"]


def distance(a, b):
    """Outside the box, and what chroma that lies in it is scaled up to."""
    (y1, y2, x1, x2), reach = BOX, 4
    mask = np.ones(a.shape[:2], bool)
    mask[y1 - reach : y2 + reach, x1 - reach : x2 + reach] = False
    return np.sqrt(((a.astype(float) - b) ** 2)[mask].mean())


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_fields_are_made_whole(lipsync, voices, tmp_path, order):
    """Where the file flags them; as near to the whole pictures as ffmpeg's own filter comes."""
    whole = write_fields(tmp_path / "in.mkv", order, codec_of(order))
    ffmpeg("-i", tmp_path / "in.mkv", "-vf", "yadif", "-c:v", "ffv1", tmp_path / "filtered.mkv")
    filtered = read_exact(tmp_path / "filtered.mkv")
    woven = read_exact(tmp_path / "in.mkv")
    assert len(whole) == len(filtered) == len(woven) == 24
    arguments = [tmp_path / "in.mkv", voices(0.96), "--box", *BOX, "--codec", "ffv1"]
    results = {}
    for name, extra in (("flagged", []), ("always", ["--deinterlace"]),
                        ("never", ["--deinterlace", "false"]), ("compat", ["--compat"])):
        out, _ = lipsync(*arguments, *extra, name=f"{name}.mkv")
        results[name] = read_exact(out)
        field_order = clips.stream(out, "video").get("field_order", "unknown")
        kept = name in ("never", "compat")
        assert (field_order in (("tt", "tb") if order == "tff" else ("bb", "bt"))) == kept
    for i in range(24):
        ours = distance(results["flagged"][i], whole[i])
        assert ours <= 1.05 * distance(filtered[i], whole[i]) + 0.02
        assert distance(woven[i], whole[i]) > 5 * ours
        assert (results["always"][i] == results["flagged"][i]).all()
        assert distance(results["never"][i], woven[i]) == 0
    assert distance(results["compat"][3], woven[3]) == 0


def test_fields_that_stand_still_lose_nothing(lipsync, voices, tmp_path):
    whole = write_fields(tmp_path / "in.mkv", "tff", codec_of("tff"), motion=False)
    out, _ = lipsync(tmp_path / "in.mkv", voices(0.96), "--box", *BOX, "--codec", "ffv1")
    for got, source in zip(read_exact(out), whole, strict=True):
        assert distance(got, source) == 0


def test_fields_without_a_flag(lipsync, voices, tmp_path):
    """Left as they are unless asked for; whole pictures are not touched by default."""
    whole = write_fields(tmp_path / "in.mkv", "tff", ["-c:v", "libx264", "-crf", "0", "-bf", "0",
                                                      "-vf", "interlace=lowpass=off,setfield=prog"])
    woven = read_exact(tmp_path / "in.mkv")
    for extra, wanted in ([], woven), (["--deinterlace"], whole):
        out, _ = lipsync(
            tmp_path / "in.mkv", voices(0.96), "--box", *BOX, "--codec", "ffv1", *extra
        )
        assert distance(read_exact(out)[7], wanted[7]) < (0.001 if not extra else 3)


def test_fields_flagged_by_the_file_alone(lipsync, voices, tmp_path):
    """Codecs that know no fields, in containers that do."""
    codec = ["-c:v", "huffyuv", "-pix_fmt", "yuv422p", "-field_order", "tt"]
    whole = write_fields(tmp_path / "in.mkv", "tff", codec)
    if clips.stream(tmp_path / "in.mkv", "video").get("field_order") != "tt":
        pytest.skip("this ffmpeg writes no order of fields")
    woven = read_exact(tmp_path / "in.mkv")
    out, _ = lipsync(tmp_path / "in.mkv", voices(0.96), "--box", *BOX, "--codec", "ffv1")
    result = read_exact(out)
    assert distance(result[7], whole[7]) < distance(woven[7], whole[7]) / 5


def test_fields_are_the_same_when_played_again(lipsync, voices, tmp_path):
    """A picture made whole needs its neighbours, also where decoding begins anew."""
    codec = [*codec_of("tff"), "-g", "6", "-bf", "2"]
    write_fields(tmp_path / "in.mp4", "tff", codec)
    out, _ = lipsync(tmp_path / "in.mp4", voices(2.9), "--box", *BOX, "--codec", "ffv1")
    result = read_exact(out)
    for i, got in enumerate(result):
        source = min(i % 46, -i % 46)
        assert distance(got, result[source]) == 0, f"frame {i}, which shows {source} again"


def test_kept_fields_are_flagged(lipsync, voices, tmp_path):
    write_fields(tmp_path / "in.mp4", "bff", codec_of("bff"))
    out, _ = lipsync(
        tmp_path / "in.mp4", voices(0.5), "--box", *BOX, "--deinterlace=false", name="out.mp4"
    )
    told = subprocess.run(
        ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries",
         "frame=interlaced_frame,top_field_first", "-of", "csv=p=0", str(out)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert {line.strip(",") for line in told.stdout.split()} == {"1,0"}


# ---- names, HDR ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["%d", "%2d", "{1,2}"])
@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_names_are_no_patterns(lipsync, voices, tmp_path, pattern, suffix):
    """A series, or another file that would fit the pattern, is not meant."""
    codec = {".webp": ["-frames:v", "1"], ".gif": [], ".mkv": ["-c:v", "ffv1"]}[suffix]
    for name, index in ((f"a{pattern}{suffix}", 5), (f"a1{suffix}", 9), (f"a 1{suffix}", 9)):
        plain = clips.write_video(tmp_path / "plain.mkv", [clips.picture(index)] * 3, 25)
        ffmpeg("-i", plain, *codec, tmp_path / f"made{suffix}")
        (tmp_path / f"made{suffix}").rename(tmp_path / name)
    voice = tmp_path / f"v{pattern}.wav"
    voice.write_bytes(voices(0.3).read_bytes())
    out, _ = lipsync(tmp_path / f"a{pattern}{suffix}", voice, "--box", *BOX, name=f"o{pattern}.mp4")
    assert {clips.read_stamp(f) for f in clips.read_video(f"file:{out}")} == {5}
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith("o")) == [out.name]


@pytest.mark.parametrize("curve, word", [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
def test_hdr_is_remarked_where_it_is_cut_to_8_bits(lipsync, voices, tmp_path, curve, word):
    codec = ["-c:v", "libx265", "-x265-params", "log-level=none", "-pix_fmt", "yuv420p10le"]
    codec += ["-color_trc", curve, "-color_primaries", "bt2020", "-colorspace", "bt2020nc"]
    face = clips.write_video(tmp_path / "in.mp4", [clips.picture(0)] * 8, 25, codec)
    _, done = lipsync(face, voices(0.3), "--box", *BOX, "--compat")
    assert f"in.mp4: is HDR ({word})" in done.stderr
    _, done = lipsync(face, voices(0.3), "--box", *BOX, "--compat", "--quiet")
    assert not done.stderr
    _, done = lipsync(face, voices(0.3), "--box", *BOX)
    assert "HDR" not in done.stderr

"""Times of video in lip-sync: gaps, jitter, clocks, containers; against ffprobe and ffmpeg."""

import itertools
import json
import shutil
import subprocess

import numpy as np
import pytest

from reference import clips

BOX = (30, 100, 50, 110)  # top bottom left right
WIDTH, HEIGHT = 160, 120

pytestmark = pytest.mark.skipif(
    not (shutil.which("ffmpeg") and shutil.which("ffprobe")), reason="needs ffmpeg and ffprobe"
)


def write_timed(path, times, clock, codec=("-c:v", "libx264", "-bf", "0"), extra=()):
    """Stamped frames that are shown at `times` (seconds), in units of 1 / clock."""
    ticks = [round(t * clock) for t in times]
    frames = b"".join(clips.picture(i).tobytes() for i in range(len(times)))
    # A tree of comparisons, because an expression may not nest deep.
    expression = "+".join(
        f"eq(N,{i})*{tick}" for i, tick in enumerate(ticks) if tick
    )
    source = f"-f rawvideo -pix_fmt bgr24 -s {WIDTH}x{HEIGHT} -r 25 -i -".split()
    move = f"settb=1/{clock},setpts='{expression}'"
    command = ["ffmpeg", "-v", "error", "-y", *source, "-vf", move, "-fps_mode", "passthrough"]
    command += ["-enc_time_base", f"1/{clock}", "-video_track_timescale", str(clock)]
    command += [*codec, "-pix_fmt", "yuv420p", *extra, str(path)]
    done = subprocess.run(command, input=frames, capture_output=True)
    if done.returncode:
        pytest.skip(f"this ffmpeg cannot: {done.stderr.decode()[:200]}")
    return path


def shown(path):
    """(time, stamp) of each frame of a file."""
    frames = clips.read_video(path)
    times = clips.frame_times(path)
    assert len(frames) == len(times)
    return list(zip(times, (clips.read_stamp(f) for f in frames), strict=True))


def end_of(path):
    """When the picture ends, by what the file says of its last frame."""
    entries = "packet=pts,duration,dts:stream=time_base,duration"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries]
    done = subprocess.run([*command, "-of", "json", str(path)], check=True, capture_output=True)
    told = json.loads(done.stdout)
    if "duration" in told["streams"][0]:
        return float(told["streams"][0]["duration"])
    numerator, denominator = map(int, told["streams"][0]["time_base"].split("/"))
    last = max(told["packets"], key=lambda p: p["pts"])
    return (last["pts"] + last["duration"]) * numerator / denominator


GAP = [*(i / 25 for i in range(10)), *((i + 40) / 25 for i in range(10, 40))]  # 1.6 s in it
SCREEN = [0.7 * (i // 10) + 0.033 * (i % 10) for i in range(50)]
SLIDES = [1.3 * (i // 3) + 0.017 * (i % 3) for i in range(15)]
JITTER = [i / 25 + 0.003 * np.sin(7 * i) * (i > 0) for i in range(60)]
CLIPS = {"gap": GAP, "screen": SCREEN, "slides": SLIDES, "jitter": JITTER}
CLOCKS = {"mp4": 90000, "mkv": 1000}


@pytest.mark.parametrize(
    "source, name", [("mp4", "out.mp4"), ("mkv", "out.mkv"), ("mp4", "out.avi")]
)
@pytest.mark.parametrize("kind", CLIPS)
def test_picture_ends_with_the_sound(lipsync, voices, tmp_path, kind, source, name):
    """Whatever holds a clip has, the mouth moves on and each picture is shown at its time."""
    times = CLIPS[kind]
    face = write_timed(tmp_path / f"in.{source}", times, CLOCKS[source])
    seconds = 2.3
    codec = ["--codec", "ffv1"] if name.endswith(("mkv", "avi")) else ["--crf", 12]
    out, done = lipsync(face, voices(seconds), "--box", *BOX, *codec, "--json", name=name)
    frame = 1 / json.loads(done.stdout.splitlines()[-1])["fps"]
    assert abs(end_of(out) - seconds) <= frame / 2 + 0.002
    got = shown(out)
    if name.endswith("avi"):  # an AVI has no times: its frames are counted
        got = [(i * frame, stamp) for i, (_, stamp) in enumerate(got)]
    gaps = np.diff([t for t, _ in got])
    assert gaps.max() <= 2.3 * frame and gaps.min() > 0
    # While the clip plays for the first time, what is shown is what the source shows.
    slack = frame / 2 if name.endswith("avi") else 0.0011
    for time, stamp in got:
        if time < times[-1] - slack:
            index = stamp & 63
            assert times[index] <= time + slack and time < times[index + 1] + slack


def test_the_mouth_moves_in_a_hold(lipsync, voices, tmp_path):
    face = write_timed(tmp_path / "in.mp4", GAP, 90000)
    out, _ = lipsync(face, voices(2.3), "--box", *BOX, "--codec", "ffv1")
    top, bottom, left, right = BOX
    held = [f for f in clips.read_video(out) if clips.read_stamp(f) == 9]
    assert len(held) == 41
    for before, after in itertools.pairwise(held):
        changed = before != after
        assert changed[top:bottom, left:right].any()
        changed[top:bottom, left:right] = False
        assert not changed.any()


def test_holds_last_as_long_backwards(lipsync, voices, tmp_path):
    """There and back, and there again: each picture is shown as long as the first time."""
    times = [0, 0.04, 0.08, 1.0, 1.04, 1.08]
    face = write_timed(tmp_path / "in.mp4", times, 90000)
    out, _ = lipsync(face, voices(5.3), "--box", *BOX, "--codec", "ffv1")
    runs = [
        (stamp, sum(1 for _ in group))
        for stamp, group in itertools.groupby(stamp for _, stamp in shown(out))
    ]
    there = [(0, 1), (1, 1), (2, 23), (3, 1), (4, 1), (5, 1)]
    expected = there + there[4:0:-1] + there + there[4:0:-1] + there
    assert runs[:-1] == expected[: len(runs) - 1] and len(runs) > 22


@pytest.mark.parametrize("clock", [1000000, 30000000, 90000])
def test_clocks_keep_their_times(lipsync, voices, tmp_path, clock):
    times = [i / 29.97 + 0.004 * np.sin(5 * i) * (i > 0) for i in range(40)]
    face = write_timed(tmp_path / "in.mp4", times, clock)
    given = clips.frame_times(face)
    out, _ = lipsync(face, voices(1.2), "--box", *BOX, name="out.mp4")
    got = clips.frame_times(out)
    assert len(got) in (35, 36, 37)
    assert np.abs(np.array(got) - given[: len(got)]).max() < 2e-6


def write_matroska(path, times):
    """A Matroska file of stamped frames whose unit of time is a nanosecond, which no muxer writes;
    times as they are, equal ones too."""
    source = f"-f rawvideo -pix_fmt bgr24 -s {WIDTH}x{HEIGHT} -i -"
    encode = f"ffmpeg -v error {source} -c:v mjpeg -q:v 2 -pix_fmt yuvj420p -f mjpeg -"
    jpegs = [
        subprocess.run(
            encode.split(), input=clips.picture(i).tobytes(), capture_output=True, check=True
        ).stdout
        for i in range(len(times))
    ]

    def element(ident, data):
        return bytes.fromhex(ident) + (1 << 56 | len(data)).to_bytes(8, "big") + data

    def number(ident, value):
        return element(ident, value.to_bytes(8, "big"))

    head = element("1a45dfa3", number("4286", 1) + element("4282", b"matroska"))
    info = element("1549a966", number("2ad7b1", 1) + element("4d80", b"t") + element("5741", b"t"))
    size = number("b0", WIDTH) + number("ba", HEIGHT)
    track = number("d7", 1) + number("73c5", 1) + number("83", 1) + element("86", b"V_MJPEG")
    tracks = element("1654ae6b", element("ae", track + element("e0", size)))
    clusters = b""
    for time, jpeg in zip(times, jpegs, strict=True):
        block = element("a3", b"\x81\0\0\x80" + jpeg)
        clusters += element("1f43b675", number("e7", round(1e9 * time)) + block)
    path.write_bytes(head + element("18538067", info + tracks + clusters))
    return path


@pytest.mark.parametrize("compat", [False, True])
def test_matroska_in_nanoseconds(lipsync, voices, tmp_path, compat):
    times = [i / 25 + 0.003 * np.sin(4 * i) for i in range(12)]
    face = write_matroska(tmp_path / "in.mkv", times)
    extra = ["--compat"] if compat else []
    out, _ = lipsync(face, voices(0.43), "--box", *BOX, *extra, name="out.mp4")
    got = clips.frame_times(out)
    assert len(got) == 8 if compat else abs(len(got) / 25 - 0.43) <= 0.02
    if not compat:
        assert np.abs(np.array(got) - times[: len(got)]).max() < 2e-6


@pytest.mark.parametrize(
    "name, codec",
    [("o.mp4", "h264"), ("o.mov", "hevc"), ("o.mkv", "h264"), ("o.mkv", "hevc"),
     ("o.mkv", "ffv1"), ("o.avi", "mjpeg")],
)  # fmt: skip
def test_two_runs_give_the_same_bytes(lipsync, voices, tmp_path, name, codec):
    face = write_timed(tmp_path / "in.mp4", GAP, 90000)
    results = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        out, _ = lipsync(
            face, voices(0.73), "--box", *BOX, "--codec", codec, name=f"{folder}/{name}"
        )
        results.append(out.read_bytes())
    assert results[0] == results[1]


def test_frames_of_one_time(lipsync, voices, tmp_path):
    """Equal times do not squeeze the clip, nor move what comes after."""
    times = [0, 0.04, 0.04, 0.12, 0.16, 0.16, 0.16, 0.28, 0.32, 0.36, 0.4, 0.44]
    face = write_matroska(tmp_path / "in.mkv", times)
    assert clips.frame_times(face)[2] == clips.frame_times(face)[1]
    out, _ = lipsync(face, voices(0.43), "--box", *BOX, name="out.mp4")
    got = shown(out)
    assert [stamp for _, stamp in got] == list(range(11))
    late = np.array([t for t, _ in got]) - times[:11]
    assert np.abs(late[[0, 1, 3, 4, 7, 8, 9, 10]]).max() < 1e-5
    assert 0.01 < late[2] < 0.03 and 0.01 < late[5] < 0.03 and 0.02 < late[6] < 0.05
    # All of one time: as if nothing was said, but for what the rate is.
    face = write_matroska(tmp_path / "flat.mkv", [0.5] * 10)
    out, done = lipsync(face, voices(0.43), "--box", *BOX, "--json", name="flat.mp4")
    assert 8 <= json.loads(done.stdout.splitlines()[-1])["source_frames"] <= 10
    assert 0.41 < end_of(out) < 0.45


@pytest.mark.parametrize("offset", [-0.5, 3.2])
@pytest.mark.parametrize("name", ["in.mp4", "in.ts", "in.mkv"])
def test_start_times_do_not_matter(lipsync, voices, tmp_path, offset, name):
    """A stream that begins late, or before zero (an edit list), with frames out of order in it."""
    even = clips.write_video(tmp_path / "even.mkv", [clips.picture(i) for i in range(30)], 25)
    face = tmp_path / name
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(even), "-c:v", "libx264", "-bf", "3"]
    command += ["-pix_fmt", "yuv420p", "-crf", "12", "-output_ts_offset", str(offset), str(face)]
    subprocess.run(command, check=True)
    out, _ = lipsync(face, voices(0.73), "--box", *BOX, name="out.mp4")
    got = shown(out)
    assert len(got) == 18
    first = got[0][1]
    assert [stamp for _, stamp in got[:10]] == list(range(first, first + 10))
    assert np.abs(np.array([t for t, _ in got]) - np.arange(18) / 25).max() < 0.001


def test_a_very_long_hold_takes_no_memory(lipsync, voices, tmp_path):
    """A picture that stands for an hour, of which the sound needs a few seconds; and one that is
    held for most of the voice, in bounded memory."""
    face = write_timed(tmp_path / "in.mp4", [0, 0.04, 3600, 3600.04], 1000)
    peaks = []
    for seconds in (2, 8):
        out, done = lipsync(face, voices(seconds), "--box", *BOX, "--json", measured=True)
        told = json.loads(done.stdout.splitlines()[-1])
        assert told["frames"] == 25 * seconds and told["source_frames"] == 2
        assert {stamp for _, stamp in shown(out)[1:]} == {1}
        peaks.append(told["peak_rss_bytes"])
    assert peaks[1] < peaks[0] + (24 << 20)


def test_boxes_are_found_in_frames_that_are_not_shown(
    lipsync, voices, blob_detector, tmp_path
):
    """With a constant rate some source frames have no output frame. Boxes still belong to frames,
    and frames of a hold have the box of their picture."""
    times = sorted({*(i * 0.013 for i in range(12)), *(0.2 + i / 25 for i in range(12)), 1.2, 1.24})
    frames = [clips.picture(i, face=clips.moving_face(3 * i)) for i in range(len(times))]
    original, clips.picture = clips.picture, lambda i: frames[i]
    try:
        face = write_timed(tmp_path / "in.mp4", times, 90000, ("-c:v", "libx264rgb", "-crf", "0"))
    finally:
        clips.picture = original
    boxes = tmp_path / "faces.json"
    detector = ["--s3fd", blob_detector.file("zip"), "--codec", "ffv1"]
    out, done = lipsync(
        *[face, voices(3.1), *detector, "--faces", boxes, "--json"], name="out.avi"
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["source_frames"] == len(times) and told["frames_without_face"] == 0
    found = json.loads(boxes.read_text())["faces"]
    assert [record["frame"] for record in found] == list(range(len(times)))
    assert np.allclose([record["time"] for record in found], times, atol=0.002)
    assert len(shown(out)) == round(3.1 * told["fps"])


@pytest.mark.parametrize("video, sound", [(0.5, 0), (0.07, 0), (0, 0.06), (0, 0.4)])
@pytest.mark.parametrize("source, name", [("in.mkv", "out.mp4"), ("in.mp4", "out.mkv"),
                                          ("in.mkv", "out.avi")])
def test_picture_and_own_sound_stay_in_step(lipsync, voices, tmp_path, source, name, video, sound):
    """Whichever begins later; sound of another file knows nothing of it."""
    face, voice = tmp_path / source, voices(2)
    even = clips.write_video(tmp_path / "even.mkv", [clips.picture(i) for i in range(70)], 25)
    command = ["ffmpeg", "-v", "error", "-y", "-itsoffset", str(video), "-i", str(even)]
    command += ["-itsoffset", str(sound), "-i", str(voice), "-c:v", "libx264", "-crf", "12"]
    command += ["-pix_fmt", "yuv420p", "-bf", "0", "-fps_mode", "passthrough", "-c:a", "flac"]
    command += ["-strict", "-2", str(face)]
    subprocess.run(command, check=True)
    # As ffmpeg wrote it: the picture lies on its grid. From 0.1 s on silence is put.
    start = {kind: float(clips.stream(face, kind)["start_time"]) for kind in ("video", "audio")}
    lead = start["video"] - start["audio"]
    assert abs(lead - (video - sound)) < 0.021
    lead = max(lead, 0) if lead < -0.1 else lead
    for audio, final, late in ((face, None, lead), (voice, face, lead), (voice, None, 0)):
        arguments = ["--final-audio", final] if final else []
        out, _ = lipsync(face, audio, "--box", *BOX, *arguments, name=name)
        frames = ([(i / 25, clips.read_stamp(f)) for i, f in enumerate(clips.read_video(out))]
                  if name == "out.avi" else shown(out))
        assert len(frames) >= 45
        for time, stamp in frames:
            # An AVI shows what comes nearest; before the picture begins stands its first frame;
            # and the first may begin before the sound does.
            off = time - late - stamp / 25
            assert abs(off) < (0.021 if name == "out.avi" else 0.0025) or (
                stamp == 0 and time < late) or (time == 0 and 0 <= off < 0.04), (time, stamp, late)

"""In which codecs and containers a result is written, and what of the picture is kept there: depth,
chroma, transparency. Read back by ffmpeg."""

import subprocess

import numpy as np
import pytest

from conftest import Network
from reference import clips, wav2lip

WIDTH, HEIGHT, COUNT = 80, 64, 6
BOX = ["--box", 16, 56, 24, 56]


def picture(index):
    """Colour and transparency that change smoothly; the latter from 0 to all there is."""
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH]
    image = np.stack([110 + 50 * np.sin(xx / (7 + c) + index / 3) * np.cos(yy / (9 - c))
                      for c in range(3)] + [255 * xx / (WIDTH - 1)], axis=2)
    return image.round().astype(np.uint8)


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")

    def make(fmt, codec="ffv1", ending="mkv"):
        path = folder / f"{fmt}.{ending}"
        if not path.exists():
            extra = ["-auto-alt-ref", "0"] if codec == "libvpx-vp9" else []
            subprocess.run(["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "bgra",
                            "-s", f"{WIDTH}x{HEIGHT}", "-r", "25", "-i", "-", "-c:v", codec,
                            *extra, "-pix_fmt", fmt, path],
                           input=b"".join(picture(i).tobytes() for i in range(COUNT)), check=True)
        return path

    return make


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return Network(wav2lip.Wav2Lip(1 / 16, least=4).eval(), tmp_path_factory.mktemp("network"))


@pytest.fixture
def run(program, voices, network, tmp_path):
    def go(face, name, *arguments, **settings):
        out = tmp_path / name
        return out, program.run("wav2lip", "--face", face, "--audio", voices(COUNT / 25),
                                "--outfile", out, "--checkpoint_path", network.file("zip"), *BOX,
                                *arguments, **settings)

    return go


def decoded(path, fmt, *decoder):
    raw = subprocess.run(["ffmpeg", "-v", "error", *decoder, "-i", str(path), "-map", "0:v:0",
                          "-fps_mode", "passthrough",
                          "-f", "rawvideo", "-pix_fmt", fmt, "-"], check=True, capture_output=True)
    return np.frombuffer(raw.stdout, np.uint8).reshape(COUNT, HEIGHT, WIDTH, -1)


# The codec, the source's format, the container; the format and the sound of the result, to which
# a voice of PCM is copied where it fits.
KEPT = [("av1", "yuv420p10le", "mkv", "yuv420p10le", "pcm_s16le"),
        ("av1", "yuv422p10le", "mp4", "yuv422p10le", "aac"),
        ("av1", "yuv420p", "webm", "yuv420p", "opus"),
        ("vp9", "yuv422p10le", "webm", "yuv422p10le", "opus"),
        ("vp9", "bgr0", "mp4", "yuv420p", "aac"),
        ("prores", "yuv422p10le", "mov", "yuv422p10le", "pcm_s16le"),
        ("prores", "yuv420p", "mkv", "yuv422p10le", "pcm_s16le"),
        ("prores", "bgra", "mov", "yuva444p10le", "pcm_s16le")]


@pytest.mark.parametrize("codec,given,container,fmt,sound", KEPT)
def test_a_codec_keeps_what_it_has_of_the_format(run, face, codec, given, container, fmt, sound):
    fastest = {"av1": ["--preset", "13"], "vp9": ["--preset", "5"], "prores": []}[codec]
    out, said = run(face(given), f"out.{container}", "--codec", codec, *fastest)
    stream = clips.stream(out, "video")
    assert stream["codec_name"] == codec
    # ffprobe's decoder of ProRes has 12 bits for 4:4:4.
    assert stream["pix_fmt"].replace("p12", "p10") == fmt
    assert clips.stream(out, "audio")["codec_name"] == sound
    got, source = decoded(out, "bgr24"), decoded(face(given), "bgr24")
    error = np.abs(got[:, :, :20].astype(int) - source[:, :, :20].astype(int))
    assert error.mean() < 4 and not said.stderr.count("transparency")
    again, _ = run(face(given), f"again.{container}", "--codec", codec, *fastest)
    assert again.read_bytes() == out.read_bytes()


@pytest.mark.parametrize("name,codec,given", [("out.webm", [], "bgra"),
                                              ("out.webm", [], "yuva420p"),
                                              ("out.mov", ["--codec", "prores"], "yuva444p10le"),
                                              ("out.mkv", ["--codec", "ffv1"], "yuva420p")])
def test_transparency_is_kept_where_the_codec_has_it(run, face, name, codec, given):
    out, said = run(face(given), name, *codec)
    decoder = ["-c:v", "libvpx-vp9"] if name.endswith("webm") else []
    alpha = decoded(out, "bgra", *decoder)[..., 3].astype(int)
    assert np.abs(alpha - picture(0)[..., 3]).max() <= 6
    assert "transparency" not in said.stderr


def test_transparency_of_webm_is_read(run, face):
    source = face("yuva420p", "libvpx-vp9", "webm")
    out, _ = run(source, "out.mkv", "--codec", "ffv1")
    got = decoded(out, "bgra")
    assert (got[..., 3] == decoded(source, "bgra", "-c:v", "libvpx-vp9")[..., 3]).all()


@pytest.mark.parametrize("name,codec", [("out.mp4", "h264"), ("out.mkv", "av1"),
                                        ("out.mov", "prores --preset hq")])
def test_lost_transparency_is_told(run, face, name, codec):
    _, said = run(face("yuva420p"), name, "--codec", *codec.split())
    assert "holds no transparency, which is lost" in said.stderr


@pytest.mark.parametrize("name,arguments,words", [
    ("out.webm", ["--codec", "h264"], ".webm cannot hold h264; name the file .mkv"),
    ("out.mp4", ["--codec", "prores"], ".mp4 cannot hold prores"),
    ("out.mkv", ["--codec", "av1", "--preset", "14"], "0 (best) to 13 (fastest), not '14'"),
    ("out.mkv", ["--codec", "vp9", "--preset", "medium"], "0 (best) to 5 (fastest), not 'medium'"),
    ("out.mov", ["--codec", "prores", "--preset", "best"], "4444 or 4444xq, not 'best'"),
    ("out.mkv", ["--preset", "3"], "ultrafast to veryslow, not '3'"),
    ("out.mkv", ["--codec", "ffv1", "--preset", "fast"], "ffv1 takes no preset"),
    ("out.mov", ["--codec", "prores", "--crf", "3"], "prores takes no crf"),
    ("out.mkv", ["--crf", "52"], "crf 52 is outside 0..51 of h264"),
    ("out.mov", ["--codec", "prores", "--preset", "hq", "--pix_fmt", "yuv444p10le"],
     "preset hq does not code in pixel format yuv444p10le"),
    ("out.mkv", ["--codec", "vp9", "--pix_fmt", "rgb48le"], "does not code in pixel format"),
    ("out.mkv", ["--codec", "theora"], "is h264, hevc, av1, vp9, prores, ffv1, mjpeg or png"),
])
def test_what_does_not_go_together_is_one_sentence(run, face, name, arguments, words):
    out, said = run(face("yuv420p"), name, *arguments, code=None)
    assert said.returncode in (1, 2) and words in said.stderr and said.stderr.count("\n") <= 2
    assert not out.exists()

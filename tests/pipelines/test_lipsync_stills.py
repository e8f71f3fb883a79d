"""`wav2lip` on stills: whatever file holds them, and large ones."""

import json
import subprocess

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from reference import clips

BOX = ["--box", 30, 100, 50, 110]
LOSSLESS = ["--codec", "ffv1"]

# A still in each of them, by its encoder.
KINDS = {
    "x.png": "png", "x.bmp": "bmp", "x.tiff": "tiff", "x.gif": "gif", "x.webp": "libwebp",
    "x.avif": "libaom-av1", "x.webm": "libvpx", "x.mp4": "libx264", "x.mkv": "ffv1",
}


def convert(source, path, *options):
    command = ["ffmpeg", "-v", "error", "-y", "-i", source, *options, path]
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this ffmpeg cannot: {done.stderr[:200]}")
    return path


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("picture") / "x.png"
    cv2.imwrite(str(path), clips.picture(0))
    return path


@pytest.mark.parametrize("name", KINDS)
def test_the_rate_of_a_still_is_asked_for(lipsync, voices, picture, tmp_path, name):
    options = ["-cpu-used", "8"] if "aom" in KINDS[name] else []
    face = convert(picture, tmp_path / name, "-frames:v", 1, "-c:v", KINDS[name], *options)
    out, done = lipsync(face, voices(0.8), *BOX, *LOSSLESS, "--fps", 20, "--json")
    assert json.loads(done.stdout)["fps"] == 20
    result = clips.read_video(out)
    assert len(result) == 16 and abs(clips.frame_rate(out) - 20) < 0.01
    assert all((frame[:, 110:] == result[0][:, 110:]).all() for frame in result)
    assert any((frame != result[0]).any() for frame in result)


# What OpenCV writes of so many channels and bits, and what libav calls it.
DEEP = {"gray alpha": ("ya8", 2, 8), "gray 16": ("gray16le", 1, 16), "alpha": ("rgba", 4, 8),
        "RGB 16": ("rgb48le", 3, 16), "alpha 16": ("rgba64le", 4, 16)}  # fmt: skip


def raw(path, fmt, channels, bits):
    """The first picture of a file, as it is coded."""
    command = ["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo",
               "-pix_fmt", fmt, "-"]  # fmt: skip
    samples = subprocess.run(command, check=True, capture_output=True).stdout
    samples = np.frombuffer(samples, np.uint16 if bits == 16 else np.uint8)
    return samples.reshape(*clips.picture(0).shape[:2], channels)


@pytest.mark.parametrize("name", DEEP)
def test_alpha_and_depth_of_a_still_are_kept(lipsync, voices, tmp_path, name):
    fmt, channels, bits = DEEP[name]
    rng = np.random.default_rng(3)
    shape = (*clips.picture(0).shape[:2], channels)
    samples = rng.integers(0, 1 << bits, shape, np.uint16 if bits == 16 else np.uint8)
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", fmt, "-s",
               f"{shape[1]}x{shape[0]}", "-i", "-", tmp_path / "x.png"]  # fmt: skip
    subprocess.run(command, check=True, input=samples.tobytes())
    (tmp_path / "made").mkdir()
    lipsync(tmp_path / "x.png", voices(0.2), *BOX, "--outfile", tmp_path / "made/%03d.png")
    result = raw(sorted((tmp_path / "made").glob("*.png"))[1], fmt, channels, bits)
    outside = np.ones(shape[:2], bool)
    outside[BOX[1] : BOX[2], BOX[3] : BOX[4]] = False
    assert (result[outside] == samples[outside]).all()
    assert (result[~outside] != samples[~outside]).any()
    if channels % 2 == 0:
        assert (result[..., -1] == samples[..., -1]).all()
        _, done = lipsync(tmp_path / "x.png", voices(0.2), *BOX, "--outfile", tmp_path / "x.mp4")
        assert "transparency" in done.stderr
    _, done = lipsync(tmp_path / "x.png", voices(0.2), *BOX, "--compat")  # upstream's 8 bits of BGR


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif", "x.webp"])
def test_a_still_is_turned_as_it_asks(lipsync, voices, picture, tmp_path, name):
    image, turn = Image.open(picture), {0x0112: 6}
    exif = Image.Exif()
    exif.update(turn)
    options = {"tiffinfo": turn} if name == "x.tif" else {"exif": exif}
    image.save(tmp_path / name, **options, **({"lossless": True} if name == "x.webp" else {}))
    upright = ImageOps.exif_transpose(Image.open(tmp_path / name)).convert("RGB")
    wanted = np.array(upright)[..., ::-1]
    out, _ = lipsync(tmp_path / name, voices(0.3), *BOX, *LOSSLESS)
    result = clips.read_video(out)[0]
    assert result.shape == wanted.shape and (result[:, 110:] == wanted[:, 110:]).all()


@pytest.mark.parametrize("name", ["x.gif", "x.png"])
def test_an_animation_is_no_still(lipsync, voices, tmp_path, name):
    moving = clips.write_video(tmp_path / "m.mkv", [clips.picture(9 * i) for i in range(10)], 10)
    face = convert(moving, tmp_path / name, *(["-f", "apng"] if name == "x.png" else []))
    out, done = lipsync(face, voices(0.8), *BOX, *LOSSLESS, "--fps", 20)
    assert len(clips.read_video(out)) == 8


def test_the_original_takes_the_rate_of_the_file(lipsync, voices, picture, tmp_path):
    face = convert(picture, tmp_path / "x.mkv", "-frames:v", 1, "-r", 12, "-c:v", "ffv1")
    _, done = lipsync(face, voices(0.8), *BOX, *LOSSLESS, "--compat", "--fps", 20, "--json")
    assert json.loads(done.stdout)["fps"] == 12


def test_a_large_still(lipsync, voices, tmp_path):
    """17 megapixels: as read, as coded and with the face; an encoder that keeps few; and 0.8
    megapixels of face as floats."""
    width, height, box = 4802, 3601, (1000, 2000, 1500, 2300)
    image = np.full((height, width, 3), 90, np.uint8)
    image[900:2100, 1400:2400] = cv2.resize(clips.picture(0), (1000, 1200))
    cv2.imwrite(str(tmp_path / "x.bmp"), image)
    arguments = [tmp_path / "x.bmp", voices(0.4), "--box", *box, "--threads", 2, "--json"]
    _, done = lipsync(*arguments, name="x.mp4", measured=True)
    facts = json.loads(done.stdout)
    assert facts["frames"] == 10 and facts["batch"] == 8
    assert facts["peak_rss_bytes"] < 800e6
    out, _ = lipsync(*arguments, *LOSSLESS, "--fps", 5)
    result = clips.read_video(out)
    assert len(result) == 2 and (result[0] != result[1]).any()
    for frame in result:
        frame = frame.copy()
        assert (frame[1000:2000, 1500:2300] != image[1000:2000, 1500:2300]).any()
        frame[1000:2000, 1500:2300] = image[1000:2000, 1500:2300]
        assert (frame == image).all()

"""What a lip-sync run leaves alone: every sample outside the mask, in the planes it was decoded
to.

Two networks made for this: one that gives a constant colour, which shows the mask, and one that
gives back its reference face, after which the picture must be what it was.
"""

import json
import subprocess

import cv2
import numpy as np
import pytest
import torch

from conftest import Network
from reference import clips, tilt, wav2lip
from reference.faces_file import write_boxes

WIDTH, HEIGHT, COUNT = 160, 120, 6
BOX = (24, 104, 40, 120)  # top bottom left right
LOSSLESS = ["--codec", "ffv1", "--box", *BOX]
COLOUR = np.array([0.3, 0.5, 0.7])  # blue green red

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "yuv410p", "yuv420p10le", "yuv422p10le", "yuv444p12le",
           "yuv420p12le", "gray", "gray10le", "gray16le", "yuva420p", "yuva444p10le", "gbrp10le",
           "gbrp16le", "bgr0", "bgra", "ya8"]
# Horizontal and vertical log2 of luma samples a chroma sample.
HALVES = {"yuv410p": (2, 2), "yuv422": (1, 0), "yuv444": (0, 0), "yuva444": (0, 0),
          "yuv420": (1, 1), "yuva420": (1, 1)}


def halves(fmt):
    return next((v for k, v in HALVES.items() if fmt.startswith(k)), (0, 0))


def planes(path, fmt):
    """The decoded samples: a list of planes of (frames, height, width, samples a pixel)."""
    command = ["ffmpeg", "-v", "error", "-noautorotate", "-i", str(path), "-map", "0:v:0",
               "-f", "rawvideo", "-pix_fmt", fmt, "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    wide = fmt.endswith("le")
    data = np.frombuffer(raw, "<u2" if wide else "u1")
    if fmt in ("bgr0", "bgra", "ya8"):
        return [data.reshape(-1, HEIGHT, WIDTH, 2 if fmt == "ya8" else 4)]
    x, y = halves(fmt)
    sizes = [(HEIGHT, WIDTH)]
    if not fmt.startswith("gray"):
        sizes += [(HEIGHT >> y, WIDTH >> x)] * 2
    if "yuva" in fmt:
        sizes += [(HEIGHT, WIDTH)]
    frame = sum(h * w for h, w in sizes)
    data = data.reshape(-1, frame)
    result, at = [], 0
    for h, w in sizes:
        result.append(data[:, at:at + h * w].reshape(-1, h, w, 1))
        at += h * w
    return result


def picture(index):
    """Smooth colours with fine detail, away from the ends of the range."""
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH]
    image = np.stack([110 + 50 * np.sin(xx / (7 + c) + index / 3) * np.cos(yy / (9 - c))
                      + 12 * np.sin(xx * 1.9 + c) for c in range(3)], axis=2)
    return image.round().clip(35, 210).astype(np.uint8)


@pytest.fixture(scope="module")
def make_clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")

    def make(fmt, *extra, codec="ffv1", name=None, contrast=1):
        path = folder / (name or f"{fmt}.mkv")
        if not path.exists():
            codec = ["-c:v", codec, "-pix_fmt", fmt, *extra]
            clips.write_video(path, [(contrast * (picture(i) - 110.0) + 110).astype(np.uint8)
                                     for i in range(COUNT)], 25, codec)
        return path

    return make


def blank():
    """A small generator with ten hinges a colour in its last block."""
    return wav2lip.Wav2Lip(1 / 16, least=30).eval()


@pytest.fixture(scope="module")
def constant(tmp_path_factory):
    net = blank()
    with torch.no_grad():
        net.output_block[1].weight.zero_()
        net.output_block[1].bias.copy_(torch.logit(torch.tensor(COLOUR)))
    return Network(net, tmp_path_factory.mktemp("constant"))


def pass_on(block, weight):
    """Makes a block compute `weight` (and its ReLU) alone."""
    conv, norm = block.conv_block
    conv.weight.copy_(weight)
    conv.bias.zero_()
    norm.weight.fill_((1 + norm.eps) ** 0.5)
    norm.bias.zero_()
    norm.running_mean.zero_()
    norm.running_var.fill_(1)


@pytest.fixture(scope="module")
def returning(tmp_path_factory):
    """logit(x) is a sum of hinges max(x - t, 0), which the block before the sigmoid has."""
    net = blank()
    hidden = net.output_block[1].weight.shape[1]
    knots = 1 / (1 + np.exp(-np.linspace(-2.6, 2.6, hidden // 3 + 1)))
    x = np.log(knots / (1 - knots))
    slopes = np.diff(x) / np.diff(knots)
    bends = np.diff(slopes, prepend=0)
    with torch.no_grad():
        first = torch.zeros_like(net.face_encoder_blocks[0][0].conv_block[0].weight)
        for c in range(3):
            first[c, 3 + c, 3, 3] = 1
        pass_on(net.face_encoder_blocks[0][0], first)
        block = net.output_block[0]
        skip = block.conv_block[0].weight.shape[1] - first.shape[0]
        hinges = torch.zeros_like(block.conv_block[0].weight)
        last, bias = torch.zeros_like(net.output_block[1].weight), torch.zeros(hidden)
        for c in range(3):
            for k in range(len(bends)):
                unit = c * len(bends) + k
                hinges[unit, skip + c, 1, 1] = 1
                bias[unit] = -knots[k]
                last[c, unit, 0, 0] = bends[k]
        pass_on(block, hinges)
        block.conv_block[0].bias.copy_(bias)
        net.output_block[1].weight.copy_(last)
        net.output_block[1].bias.fill_(x[0])
        voice, face = wav2lip.random_inputs(1, 1)
        face = 0.12 + 0.7 * face
        assert (net(voice, face) - face[:, 3:]).abs().max() < 1 / 255
    return Network(net, tmp_path_factory.mktemp("returning"))


@pytest.fixture
def run(program, voices, tmp_path):
    def go(network, face, *arguments, name="out.mkv", **settings):
        out = tmp_path / name
        program.run(*["wav2lip", "--face", face, "--audio", voices(COUNT / 25), "--outfile", out],
                    *["--checkpoint_path", network.file("zip"), *arguments], **settings)
        return out

    return go


def boxed(shape, fmt, plane, box=BOX):
    """Where a plane's samples belong to the box."""
    x, y = halves(fmt) if plane in (1, 2) and len(shape) and not fmt.startswith("gbr") else (0, 0)
    inside = np.zeros(shape[1:3], bool)
    top, bottom, left, right = box
    inside[top >> y:bottom >> y, left >> x:right >> x] = True
    return inside


def is_alpha(fmt, plane):
    return "yuva" in fmt and plane == 3


@pytest.mark.parametrize("fmt", FORMATS)
def test_samples_outside_the_mask_are_those_decoded(run, make_clip, constant, fmt):
    face = make_clip(fmt)
    out = run(constant, face, *LOSSLESS, "--mask", "box")
    assert clips.stream(out, "video")["pix_fmt"] == fmt
    for i, (got, source) in enumerate(zip(planes(out, fmt), planes(face, fmt))):
        changed = (got != source).any(axis=(0, 3))
        assert not (changed & ~boxed(got.shape, fmt, i)).any()
        assert changed.any() != is_alpha(fmt, i)
    if fmt in ("bgra", "ya8"):
        assert (planes(out, fmt)[0][..., -1] == planes(face, fmt)[0][..., -1]).all()


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_network_that_returns_its_face_changes_nothing(run, make_clip, returning, fmt):
    face = make_clip(fmt)
    out = run(returning, face, *LOSSLESS, "--mask", "box")
    level = 1 << max(0, {"10": 2, "12": 4, "16": 8}.get(fmt[-4:-2], 0) if fmt.endswith("le") else 0)
    for i, (got, source) in enumerate(zip(planes(out, fmt), planes(face, fmt))):
        inside = boxed(got.shape, fmt, i)
        error = np.abs(got.astype(int) - source.astype(int)) / level
        assert not error[:, ~inside].any()
        assert error[:, inside].mean() < 1
        edge = inside & ~boxed(got.shape, fmt, i, (BOX[0] + 4, BOX[1] - 4, BOX[2] + 4, BOX[3] - 4))
        assert error[:, edge].mean() < 1


@pytest.mark.parametrize("mask", ["mouth", "lower", "box"])
def test_a_constant_network_shows_the_mask(run, make_clip, constant, mask):
    face = make_clip("bgr0")
    hard = ["--feather", 0, "--no_colour_match"]
    out = run(constant, face, *LOSSLESS, "--mask", mask, *hard)
    got, source = planes(out, "bgr0")[0][..., :3], planes(face, "bgr0")[0][..., :3]
    new = np.abs(got - 255 * COLOUR).max(axis=3) <= 1
    kept = (got == source).all(axis=3)
    assert (new | kept).all()
    rows, columns = np.where(new[0])
    top, bottom, left, right = BOX
    height, width = bottom - top, right - left
    if mask == "box":
        assert new[:, top:bottom, left:right].all() and new[0].sum() == height * width
    elif mask == "lower":
        middle = top + height // 2
        assert new[:, middle:bottom, left:right].all()
        assert new[0].sum() == (bottom - middle) * width
    else:
        assert rows.min() > top + 0.45 * height and rows.max() < bottom
        assert columns.min() > left and columns.max() < right - 1
        assert abs(columns.mean() - (left + right - 1) / 2) < 1
        assert 0.1 < new[0].sum() / (height * width) < 0.45
    assert (new == new[0]).all()


def test_a_mask_as_a_picture(run, make_clip, constant, tmp_path):
    """Stretched over the face, colours by their luma."""
    top, bottom, left, right = BOX
    image = np.zeros((bottom - top, right - left, 3), np.uint8)
    image[20:50, 10:40] = 255
    image[60:70, 50:70] = (0, 128, 0)  # green: a share of 0.295
    cv2.imwrite(str(tmp_path / "mask.png"), image)
    face = make_clip("bgr0")
    out = run(constant, face, *LOSSLESS, "--mask_image", tmp_path / "mask.png", "--no_colour_match")
    got, source = (planes(p, "bgr0")[0][..., :3].astype(float) for p in (out, face))
    share = np.zeros((HEIGHT, WIDTH, 1))
    share[top + 20:top + 50, left + 10:left + 40] = 1
    share[top + 60:top + 70, left + 50:left + 70] = 75 / 255
    assert np.abs(got - (source + share * (255 * COLOUR - source))).max() <= 1
    # A picture of another size and shape covers the same, but for its edges.
    for size in ((3 * image.shape[1], 3 * image.shape[0]), (image.shape[1] // 2, image.shape[0])):
        other = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(tmp_path / "other.png"), other)
        out = run(constant, face, *LOSSLESS, "--mask_image", tmp_path / "other.png",
                  "--no_colour_match")
        again = planes(out, "bgr0")[0][..., :3].astype(float)
        edge = cv2.dilate(share, np.ones((7, 7))) != cv2.erode(share, np.ones((7, 7)))
        assert np.abs(again - got)[:, ~edge].max() <= 1 and not edge.all()
    cv2.imwrite(str(tmp_path / "black.png"), 0 * image)
    for arguments in (["--mask", "box", "--mask_image", tmp_path / "mask.png"],
                      ["--mask_image", tmp_path / "black.png"],
                      ["--mask_image", tmp_path / "missing.png"]):
        code = 2 if "--mask" in arguments else 1
        assert not run(constant, face, *LOSSLESS, *arguments, name="x.mkv", code=code).exists()


KR_KB = {"bt709": (0.2126, 0.0722), "smpte170m": (0.299, 0.114), "bt2020nc": (0.2627, 0.0593)}


def codes(rgb, matrix, full, depth):
    """Y, Cb, Cr of a colour, as H.273 defines them."""
    red, blue = KR_KB[matrix]
    luma = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    cb, cr = (rgb[2] - luma) / (2 * (1 - blue)), (rgb[0] - luma) / (2 * (1 - red))
    if full:
        top = (1 << depth) - 1
        return top * luma, top * cb + (1 << depth - 1), top * cr + (1 << depth - 1)
    step = 1 << depth - 8
    return (219 * luma + 16) * step, (224 * cb + 128) * step, (224 * cr + 128) * step


@pytest.mark.parametrize("matrix", list(KR_KB))
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("fmt", ["yuv420p", "yuv422p10le"])
def test_colours_are_coded_as_the_file_says(run, make_clip, constant, matrix, full, fmt):
    said = ["-colorspace", matrix, "-color_range", "pc" if full else "tv"]
    face = make_clip(fmt, *said, name=f"{fmt}-{matrix}-{full}.mkv")
    out = run(constant, face, *LOSSLESS, "--mask", "box", "--feather", 0, "--no_colour_match")
    top, bottom, left, right = BOX
    expected = codes(COLOUR[::-1], matrix, full, 10 if "10" in fmt else 8)
    x, y = halves(fmt)
    for i, (got, want) in enumerate(zip(planes(out, fmt), expected)):
        x, y = halves(fmt) if i else (0, 0)
        # Chroma at the edge is a mean with what lies beside it.
        inside = got[:, (top >> y) + 1:(bottom >> y) - 1, (left >> x) + 1:(right >> x) - 1]
        assert np.abs(inside - want).max() <= (2.6 if "10" in fmt else 1)  # a level of the network


def test_the_edge_has_no_step(run, make_clip, constant):
    """A flat network against a picture that is not: the membrane brings it to the film there."""
    face = make_clip("gbrp10le")
    out = run(constant, face, *LOSSLESS, "--mask", "box")
    flat = run(constant, face, *LOSSLESS, "--mask", "box", "--feather", 0, name="hard.mkv")
    bare = run(constant, face, *LOSSLESS, "--mask", "box", "--feather", 0, "--no_colour_match",
               name="bare.mkv")
    source = planes(face, "gbrp10le")
    top, bottom, left, right = BOX

    def step(path):
        return max(np.abs(got.astype(int) - want)[:, top, left:right].mean() / 4
                   for got, want in zip(planes(path, "gbrp10le"), source))

    assert step(out) < 1
    assert step(flat) < 0.2 * step(bare)


@pytest.mark.parametrize("codec, name, fmt", [
    ("h264", "o.mp4", "yuv422p"), ("h264", "o.mp4", "yuv420p10le"),
    ("hevc", "o.mp4", "yuv422p10le"), ("h264", "o.mov", "yuv444p"),
    ("hevc", "o.mkv", "yuv420p12le")])
def test_depth_and_chroma_are_kept_by_default(run, make_clip, constant, codec, name, fmt):
    out = run(constant, make_clip(fmt), "--box", *BOX, "--codec", codec, name=name)
    assert clips.stream(out, "video")["pix_fmt"] == fmt


def test_another_format_on_request(run, make_clip, constant):
    face = make_clip("yuv422p10le")
    out = run(constant, face, "--box", *BOX, "--pix_fmt", "yuv420p", name="o.mp4")
    assert clips.stream(out, "video")["pix_fmt"] == "yuv420p"
    for codec, *wrong in [("h264", "--pix_fmt", "nonsense"), ("mjpeg", "--pix_fmt", "yuv420p10le"),
                          ("h264", "--preset", "nonsense"), ("mjpeg", "--preset", "slow")]:
        out = run(constant, face, "--box", *BOX, "--codec", codec, *wrong, name="x.mp4", code=1)
        assert not out.exists()


TAGS = {"color_space": "bt2020nc", "color_transfer": "smpte2084", "color_primaries": "bt2020",
        "color_range": "tv", "chroma_location": "topleft"}


def test_hdr_stays_hdr(run, make_clip, returning, constant):
    params = ("log-level=none:lossless=1:colorprim=9:transfer=16:colormatrix=9:chromaloc=2:"
              "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
              ":max-cll=900,300")
    face = make_clip("yuv420p10le", "-x265-params", params, "-vf",
                     "scale=out_color_matrix=bt2020:out_range=tv", "-color_primaries", "bt2020",
                     "-color_trc", "smpte2084", "-colorspace", "bt2020nc", codec="libx265",
                     name="hdr.mkv", contrast=0.25)
    out = run(constant, face, "--box", *BOX, "--codec", "hevc", name="o.mp4")
    assert {k: clips.stream(out, "video")[k] for k in TAGS} == TAGS

    def light(path):
        command = ["ffprobe", "-v", "error", "-show_frames", "-read_intervals", "%+#1", "-of",
                   "json", "-select_streams", "v", str(path)]
        told = subprocess.run(command, check=True, capture_output=True).stdout
        frame = json.loads(told)["frames"][0]
        known = {d["side_data_type"]: d for d in frame["side_data_list"]}
        return known["Mastering display metadata"], known["Content light level metadata"]

    assert light(out) == light(face)
    out = run(returning, face, *LOSSLESS, "--mask", "box")
    for i, (got, source) in enumerate(zip(planes(out, "yuv420p10le"), planes(face, "yuv420p10le"))):
        error = np.abs(got.astype(int) - source.astype(int)) / 4
        inside = boxed(got.shape, "yuv420p10le", i)
        assert not error[:, ~inside].any() and error[:, inside].mean() < 1


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_turned_video_stays_as_coded(run, make_clip, constant, tmp_path, turn):
    plain = make_clip("yuv420p", "-crf", "4", codec="libx264", name="plain.mp4")
    face = tmp_path / "turned.mp4"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", str(plain), "-c", "copy",
                    "-metadata:s:v:0", f"rotate={turn}", str(face)], check=True)

    def told(path):
        sides = clips.stream(path, "video").get("side_data_list", [])
        return [d["rotation"] for d in sides if "rotation" in d]

    top, bottom, left, right = BOX
    # Where the box of the picture as coded is shown.
    shown = {90: (WIDTH - right, WIDTH - left, top, bottom),
             180: (HEIGHT - bottom, HEIGHT - top, WIDTH - right, WIDTH - left),
             270: (left, right, HEIGHT - bottom, HEIGHT - top)}[turn]
    out = run(constant, face, "--box", *shown, "--mask", "box", "--crf", 0, name="o.mp4")
    assert told(out) == told(face) != []
    for i, (got, source) in enumerate(zip(planes(out, "yuv420p"), planes(face, "yuv420p"))):
        changed = (got != source).any(axis=(0, 3))
        assert changed.any() and not (changed & ~boxed(got.shape, "yuv420p", i)).any()
    # Matroska does not say how a picture is turned: its samples are.
    out = run(constant, face, "--box", *shown, "--mask", "box", "--codec", "ffv1")
    size = clips.stream(out, "video")
    height, width = (HEIGHT, WIDTH) if turn == 180 else (WIDTH, HEIGHT)
    assert (size["width"], size["height"], size["pix_fmt"]) == (width, height, "yuv420p")
    command = ["ffmpeg", "-v", "error", "-i", str(out), "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    got = np.frombuffer(raw, "u1").reshape(-1, height, width)
    command = [*command[:4], str(face), *command[5:]]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    changed = (got != np.frombuffer(raw, "u1").reshape(-1, height, width)).any(axis=0)
    assert changed[shown[0]:shown[1], shown[2]:shown[3]].any()
    changed[shown[0]:shown[1], shown[2]:shown[3]] = False
    assert not changed.any()


def turned_box(degrees, margin, size):
    """Where the crop of a head that is tilted so is, drawn large: a margin wider on all sides."""
    pixels = np.indices((HEIGHT, WIDTH))[::-1].transpose(1, 2, 0) + 0.5
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    back = tilt.turn_points(tilt.matrix(-degrees, middle), pixels) - middle
    return (np.abs(back) < np.array(size) / 2 + margin).all(axis=2)


FACE_SIZE = 50, 62  # of the upright face; no padding


@pytest.fixture
def run_tilted(run, tmp_path):
    def go(network, face, degrees, *arguments):
        middle = np.array([WIDTH / 2, HEIGHT / 2])
        half = np.array(FACE_SIZE) / 2
        upright = [*(middle - half), *(middle + half)]
        turn = tilt.matrix(degrees, middle)
        faces = write_boxes(tmp_path / "faces.json", face, [tilt.turn_box(turn, upright)] * COUNT,
                            (WIDTH, HEIGHT), 25, [tilt.turn_points(turn, tilt.marks_of(upright))]
                            * COUNT)
        return run(network, face, "--codec", "ffv1", "--faces", faces, "--pads", 0, 0, 0, 0,
                   *arguments, name=f"{degrees}.mkv")

    return go


@pytest.mark.parametrize("degrees", [0, 20, 45, 160])
def test_the_mask_is_tilted_with_the_head(run_tilted, make_clip, constant, degrees):
    face = make_clip("bgr0")
    out = run_tilted(constant, face, degrees, "--mask", "box", "--feather", 0, "--no_colour_match")
    got, source = planes(out, "bgr0")[0][..., :3], planes(face, "bgr0")[0][..., :3]
    new = np.abs(got - 255 * COLOUR).max(axis=3) <= 8  # the film's finest detail, turned twice
    inner, outer = (turned_box(degrees, margin, FACE_SIZE) for margin in (-2.5, 2.5))
    assert new[:, inner].mean() > 0.99
    assert (got == source)[:, ~outer].all()


@pytest.mark.parametrize("degrees", [0, 20, 45])
@pytest.mark.parametrize("fmt", ["yuv420p", "yuv422p10le", "gray", "gbrp10le", "yuva420p"])
def test_a_tilted_face_that_returns_changes_nothing(run_tilted, make_clip, returning, fmt, degrees):
    face = make_clip(fmt)
    out = run_tilted(returning, face, degrees, "--mask", "box")
    level = 4 if "10" in fmt else 1
    for i, (got, source) in enumerate(zip(planes(out, fmt), planes(face, fmt))):
        # Of chroma a sample belongs to all pixels that it covers.
        x, y = halves(fmt) if i in (1, 2) and not fmt.startswith("gbr") else (0, 0)
        outer = turned_box(degrees, 2.5, FACE_SIZE).reshape(HEIGHT >> y, 1 << y, WIDTH >> x, 1 << x)
        outer = outer.any(axis=(1, 3))
        error = np.abs(got.astype(int) - source.astype(int))[..., 0] / level
        assert not error[:, ~outer].any()
        assert error[:, outer].mean() < 1

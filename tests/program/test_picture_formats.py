"""Image files as people have them, through `run-model ffdnet` with weights that change nothing:
the pixels against Pillow's, and what goes along with them."""

import io
import struct
import zlib
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, TiffImagePlugin

from conftest import json_lines
from reference import checkpoints, ffdnet


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """Colour weights that find no noise, so that pictures come back as they went."""
    model = ffdnet.random_ffdnet("ipol", 3, 4, 3)
    state = OrderedDict(model.state_dict())
    state.update((k, v * 0) for k, v in state.items() if v.dim() == 4)
    return checkpoints.save_zip(state, tmp_path_factory.mktemp("identity") / "w.pth")


@pytest.fixture
def through(program, identity, tmp_path):
    """through(bytes, name, ...): what ffdnet made of the file (which Pillow may not know), and
    what it said."""

    def run(data, name="in.x", out="out.png", code=0, known=True):
        (tmp_path / name).write_bytes(data)
        (tmp_path / out).unlink(missing_ok=True)
        arguments = ["ffdnet", tmp_path / name, "-o", tmp_path / out, "-w", identity, "--sigma", 9]
        done = program.run(*arguments, "--json", code=code)
        assert (tmp_path / out).exists() == (code == 0)
        line = json_lines(done.stdout)[0]
        assert line.get("remark", "") in done.stderr and done.stderr.count("\n") <= 1
        return (Image.open(tmp_path / out) if code == 0 and known else None), line

    return run


def colours(height=23, width=31, channels=3, seed=1, flat=0):
    """Smooth with noise; `flat` rows at the top are all the same, for run lengths."""
    g = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = [128 + 90 * np.sin(x / (5 + c) + y / 7) for c in range(channels)]
    values = np.clip(np.stack(planes, 2) + g.normal(0, 9, (height, width, channels)), 0, 255)
    values[:flat] = 77
    return values.astype(np.uint8).squeeze()


def saved(image, kind, **options):
    buffer = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        buffer, kind, **options)
    return buffer.getvalue()


def same(got, data, mode=None):
    """As Pillow reads the bytes."""
    wanted = Image.open(io.BytesIO(data))
    wanted = wanted.convert(mode or got.mode)
    assert got.size == wanted.size and (np.array(got) == np.array(wanted)).all()


# ---- BMP -----------------------------------------------------------------------------------------


def bmp(pixels, bits, header=40, palette=None, top_down=False, compression=0, masks=b"", body=None,
        used=None, gap=0):
    """Rows of indices (H,W), or of (H,W) numbers of 16 to 32 bits, or a body that is ready."""
    height, width = pixels.shape
    entry = 3 if header == 12 else 4
    table = b"".join(bytes(c[::-1]) + b"\0" * (entry - 3) for c in (palette or []))
    if body is None:
        rows = pixels if top_down else pixels[::-1]
        if bits < 8:
            per = 8 // bits
            padded = np.pad(rows, ((0, 0), (0, -width % per))).reshape(height, -1, per)
            rows = (padded << np.arange(8 - bits, -1, -bits)).sum(2).astype(np.uint8)
        kind = {16: "<u2", 32: "<u4"}.get(bits, "u1")
        lines = [row.astype(kind).tobytes() if bits != 24 else
                 row.astype("<u4").view("u1").reshape(-1, 4)[:, :3].tobytes() for row in rows]
        body = b"".join(line + b"\0" * (-len(line) % 4) for line in lines)
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, -height if top_down else height, 1, bits,
                           compression, len(body), 2835, 2835, used or 0, 0)[:header]
        if header > 40:
            info += masks.ljust(header - 40, b"\0")
            masks = b""
    front = info + masks + table + b"\0" * gap
    return b"BM" + struct.pack("<IHHI", 14 + len(front) + len(body), 0, 0, 14 + len(front)) + \
        front + body


def palette_of(count, seed=3):
    return [tuple(int(v) for v in c)
            for c in np.random.default_rng(seed).integers(0, 256, (count, 3))]


def indices(count, height=13, width=21):
    return np.random.default_rng(count).integers(0, count, (height, width))


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("header", [12, 40, 64, 108, 124])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_bmp_palettes(through, bits, header, top_down):
    """OS/2's headers (12, 64) among them; the same on every run."""
    if header == 12 and top_down:
        pytest.skip("its height has no sign")
    data = bmp(indices(2**bits), bits, header, palette_of(2**bits), top_down)
    got, _ = through(data, "a.bmp")
    same(got, data, "RGB")
    assert (np.array(through(data, "a.bmp")[0]) == np.array(got)).all()


def test_bmp_palette_that_is_short(through):
    """Fewer entries than the bits allow: what lies behind them is black."""
    data = bmp(indices(16), 8, 40, palette_of(16), used=16)
    got, _ = through(data, "a.bmp")
    same(got, data, "RGB")
    high = bmp(indices(16) + 3, 8, 40, palette_of(16), used=16)
    pixels = np.array(through(high, "a.bmp")[0].convert("RGB"))
    assert (pixels[indices(16) + 3 >= 16] == 0).all()


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("bits, masks", [
    (16, None), (16, (0xF800, 0x07E0, 0x001F)), (16, (0x7C00, 0x03E0, 0x001F)), (24, None),
    (32, None), (32, (0xFF0000, 0xFF00, 0xFF)), (32, (0xFF, 0xFF00, 0xFF0000)),
    (32, (0xFF000000, 0xFF0000, 0xFF00))])  # fmt: skip
@pytest.mark.parametrize("palette", [0, 5], ids=["", "palette"])
def test_bmp_colours(through, bits, masks, top_down, palette):
    """A palette for screens of few colours is passed over."""
    pixels = np.random.default_rng(bits).integers(0, 2**min(bits, 24), (11, 13))
    fields = struct.pack("<III", *masks) if masks else b""
    if masks and masks[0] == 0xFF000000:
        pixels = pixels << 8
    data = bmp(pixels, bits, 40, palette_of(palette), top_down, 3 if masks else 0, fields,
               used=palette)
    got, line = through(data, "a.bmp")
    assert line["channels"] == 3
    if bits == 32 and masks == (0xFF, 0xFF00, 0xFF0000):  # which Pillow does not know
        wanted = pixels[..., None] >> np.array([0, 8, 16]) & 255
        assert (np.array(got) == wanted).all()
    else:
        same(got, data)


def test_bmp_alpha(through):
    pixels = colours(channels=4)
    data = saved(pixels, "BMP")
    got, line = through(data, "a.bmp")
    assert line["channels"] == 4 and (np.array(got) == pixels).all()
    numbers = pixels.astype(np.uint32)[..., [2, 1, 0, 3]] @ (1 << np.arange(0, 32, 8))
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    got, line = through(bmp(numbers, 32, 108, compression=3, masks=masks), "a.bmp")
    assert line["channels"] == 4 and (np.array(got) == pixels).all()
    got, line = through(bmp(numbers & 0xFFFFFF, 32), "a.bmp")
    assert line["channels"] == 3 and (np.array(got) == pixels[..., :3]).all()


def runs(pixels, bits, plain):
    """RLE8 or RLE4: runs, and every other row as it is where `plain`."""
    body = b""
    for number, row in enumerate(pixels[::-1]):
        if plain and number % 2:
            if bits == 8:
                packed = bytes(row.astype(np.uint8))
            else:
                even = np.pad(row, (0, len(row) % 2))
                packed = bytes((even[::2] << 4 | even[1::2]).astype(np.uint8))
            body += bytes([0, len(row)]) + packed + b"\0" * (len(packed) % 2)
        elif bits == 8:
            at = 0
            while at < len(row):
                count = 1
                while at + count < len(row) and row[at + count] == row[at]:
                    count += 1
                body += bytes([count, row[at]])
                at += count
        else:
            for at in range(0, len(row), 2):
                pair = row[at:at + 2]
                body += bytes([len(pair), int(pair[0]) << 4 | int(pair[-1])])
        body += b"\0\0"
    return body + b"\0\1"


@pytest.mark.parametrize("width", [3, 20, 21, 130])
@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("bits", [4, 8])
def test_bmp_run_lengths(through, bits, plain, width):
    pixels = indices(2**bits, width=width)
    pixels[2:5] = 1
    data = bmp(pixels, bits, 40, palette_of(2**bits), compression=2 if bits == 4 else 1,
               body=runs(pixels, bits, plain))
    got, _ = through(data, "a.bmp")
    palette = np.array(palette_of(2**bits), np.uint8)
    assert (np.array(got) == palette[pixels]).all()
    same(got, data, "RGB")


def test_bmp_runs_that_move(through):
    """Moves leave pixels of colour 0, and a file may end without its mark."""
    body = b"\2\1\0\2\3\1\2\2\0\1"
    data = bmp(np.zeros((4, 8), int), 8, 40, palette_of(4), compression=1, body=body, used=4)
    got, _ = through(data, "a.bmp")
    wanted = np.zeros((4, 8), int)
    wanted[3, :2], wanted[2, 5:7] = 1, 2
    assert (np.array(got) == np.array(palette_of(4), np.uint8)[wanted]).all()
    pixels = indices(16)
    body = runs(pixels, 8, False)
    data = bmp(pixels, 8, 40, palette_of(16), compression=1, body=body[:-2], used=16)
    got, line = through(data, "a.bmp")
    assert "end marker" in line["remark"]
    data = bmp(pixels, 8, 40, palette_of(16), compression=1, body=body[:-9], used=16)
    assert "cut short" in through(data, "a.bmp", code=1)[1]["error"]


# ---- PNG -----------------------------------------------------------------------------------------


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunk(png, name, data, last=False):
    at = png.index(b"IEND") - 4 if last else 33
    return png[:at] + chunk(name, data) + png[at:]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_kinds(through, mode):
    if mode == "I;16":
        image = Image.fromarray(colours(channels=1).astype(np.uint16) * 257 + 3)
    else:
        image = Image.fromarray(colours(channels=3 if mode == "P" else 4)).convert(mode)
    data = saved(image, "PNG")
    got, line = through(data, "a.png")
    channels = {"L": 1, "1": 1, "LA": 2, "P": 3, "RGB": 3, "RGBA": 4, "I;16": 1}
    assert line["channels"] == channels[mode]
    same(got, data, {"1": "L", "P": "RGB"}.get(mode))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_palette_with_transparency(through, bits):
    image = Image.fromarray(indices(2**bits).astype(np.uint8), "P")
    image.putpalette(sum(palette_of(2**bits), ()))
    data = saved(image, "PNG", bits=bits, transparency=bytes([0, 90]))
    got, line = through(data, "a.png")
    assert line["channels"] == 4
    same(got, data, "RGBA")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_of_16_bits(through, channels, tmp_path):
    pixels = np.random.default_rng(2).integers(0, 65536, (9, 14, channels), np.uint16)
    data = cv2.imencode(".png", pixels)[1].tobytes()
    through(data, "a.png")
    got = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED)
    assert got.dtype == np.uint16 and (got == pixels.squeeze()).all()


def exif_of(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a camera"
    return exif


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_png_orientation(through, orientation, last):
    pixels = colours()
    data = with_chunk(saved(pixels, "PNG"), b"eXIf", exif_of(orientation).tobytes()[6:], last)
    got, _ = through(data, "a.png")
    wanted = np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert (np.array(got) == wanted).all()
    assert got.getexif()[0x010F] == "a camera" and got.getexif()[0x0112] == 1


def test_png_interlaced_and_without_end(through):
    pixels = colours()
    data = cv2.imencode(".png", pixels[..., ::-1])[1].tobytes()
    for cut in range(12, 0, -1):
        got, line = through(data[:-cut], "a.png")
        assert (np.array(got) == pixels).all() and "no end" in line["remark"]


# ---- JPEG ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_has_pillows_bits(through, mode, progressive, subsampling):
    image = Image.fromarray(colours(57, 83)).convert(mode)
    data = saved(image, "JPEG", quality=88, progressive=progressive, subsampling=subsampling)
    got, line = through(data, "a.jpg")
    assert line["channels"] == (1 if mode == "L" else 3)
    same(got, data, None if mode == "L" else "RGB")


def segments(data):
    """(marker, its bytes with marker and length) up to the scan, and the rest."""
    at, found = 2, []
    while data[at + 1] != 0xDA:
        length = 2 + int.from_bytes(data[at + 2:at + 4], "big")
        found.append((data[at + 1], data[at:at + length]))
        at += length
    return found, data[at:]


def test_jpeg_of_a_webcam(through):
    """Frames of Motion JPEG leave out the Huffman tables, which are the usual ones."""
    data = saved(colours(40, 56), "JPEG", quality=80)
    found, scan = segments(data)
    bare = data[:2] + b"".join(part for marker, part in found if marker != 0xC4) + scan
    assert len(bare) < len(data) - 400
    same(through(bare, "a.jpg")[0], data)


@pytest.mark.parametrize("junk", [
    b"\r\n", b"Content-Type: image/jpeg\r\n\r\n", b"\xff" * 7, b"\0" * 1000])  # fmt: skip
def test_jpeg_behind_junk(through, junk):
    data = saved(colours(40, 56), "JPEG")
    got, line = through(junk + data, "a.jpeg")
    same(got, data)
    assert f"{len(junk)} bytes" in line["remark"]


DAMAGED_EXIF = [b"", b"\0", b"MM", b"XX\0*\0\0\0\x08", b"II*\0\xff\xff\xff\xff",
                b"MM\0*\0\0\0\x08\xff\xff",
                b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\1\0\0\0\x63\0\0\0",
                b"\xff\xd9" * 20]  # fmt: skip


@pytest.mark.parametrize("number", range(len(DAMAGED_EXIF)))
def test_jpeg_with_damaged_exif(through, number):
    data = saved(colours(40, 56), "JPEG")
    body = b"Exif\0\0" + DAMAGED_EXIF[number]
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    same(through(data[:2] + segment + data[2:], "a.jpg")[0], data)
    if number == len(DAMAGED_EXIF) - 1:
        return  # what lies behind a length that is too short must not look like a marker
    for length in (0, 2, 5, len(body) + 1):
        wrong = b"\xff\xe1" + struct.pack(">H", length) + body.replace(b"\xff", b"\x7f")
        same(through(data[:2] + wrong + data[2:], "a.jpg")[0], data)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_without_end_marker(through, progressive):
    data = saved(colours(40, 56), "JPEG", progressive=progressive)
    for broken in (data[:-2], data[:-1], data[:-2] + b"\0" * 30):
        got, line = through(broken, "a.jpg")
        same(got, data)
        assert "end marker" in line["remark"]
    _, line = through(data[: len(data) * 2 // 3], "a.jpg", code=1)
    assert "cut short at byte" in line["error"]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("out", ["out.jpg", "out.png", "out.webp"])
def test_exif_is_kept_upright(through, orientation, out):
    data = saved(colours(40, 56), "JPEG", exif=exif_of(orientation))
    got, _ = through(data, "a.jpg", out)
    assert got.size == ImageOps.exif_transpose(Image.open(io.BytesIO(data))).size
    assert got.getexif()[0x010F] == "a camera" and got.getexif()[0x0112] == 1
    written = Path(got.filename).read_bytes()
    assert sum(written.count(mark) for mark in (b"eXIf", b"EXIF", b"Exif")) == 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
def test_header_that_lies(through, kind):
    """Too large a size is refused, and one that the file cannot hold takes no memory."""
    data = saved(colours(), kind, **({"lossless": True} if kind == "WEBP" else {}))
    for height, width in ((8000, 16000), (16384, 16385), (65535, 65535)):
        if kind == "PNG":
            header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
            lie = data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
        elif kind == "JPEG":
            at = data.index(b"\xff\xc0") + 5
            lie = data[:at] + struct.pack(">HH", height, width) + data[at + 4:]
        elif kind == "BMP":
            lie = data[:18] + struct.pack("<ii", width, height) + data[26:]
        elif kind == "TIFF":
            lie = tiff(colours(), more=[(256, 4, [width]), (257, 4, [height])])
        else:
            size = struct.pack("<I", min(width - 1, 16383) | min(height - 1, 16383) << 14)
            lie = data[:21] + size + data[25:]
        _, line = through(lie, "a.x", code=1)
        told = line["error"]
        assert "limit" in told or "cut short" in told or "damaged" in told, told


def test_runs_that_lie(through):
    pixels = indices(16)
    data = bmp(pixels, 8, 40, palette_of(16), compression=1, body=runs(pixels, 8, False), used=16)
    _, line = through(data[:18] + struct.pack("<ii", 16000, 8000) + data[26:], "a.bmp", code=1)
    assert "cut short" in line["error"]


# ---- TIFF ----------------------------------------------------------------------------------------


COMPRESSIONS = [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "tiff_deflate"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_tiff_kinds(through, mode, compression):
    if mode == "I;16":
        image = Image.fromarray(colours(channels=1).astype(np.uint16) * 257 + 3)
    else:
        image = Image.fromarray(colours(channels=4)).convert(mode)
    data = saved(image, "TIFF", compression=compression)
    got, line = through(data, "a.tif")
    assert line["bits"] == (16 if mode == "I;16" else 8)
    if mode == "CMYK":  # libtiff multiplies, Pillow rounds otherwise
        wanted = np.array(image.convert("RGB"), int)
        assert np.abs(np.array(got) - wanted).max() <= 1
    else:
        same(got, data, {"1": "L", "P": "RGB"}.get(mode))


def test_tiff_predictor_jpeg_and_fax(through):
    image = Image.fromarray(colours(64, 80))
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[317] = 2
    for compression in ("tiff_lzw", "tiff_adobe_deflate"):
        data = saved(image, "TIFF", compression=compression, tiffinfo=tags)
        same(through(data, "a.tiff")[0], data)
    data = saved(image, "TIFF", compression="jpeg", quality=90)
    same(through(data, "a.tiff")[0], data)
    data = saved(image.convert("1"), "TIFF", compression="group4")
    same(through(data, "a.tiff")[0], data, "L")


def tiff(pixels, big_endian=False, tile=None, planar=False, photometric=None, extra=None,
         orientation=1, rows=5, more=()):
    """An uncompressed TIFF of (H,W,C), 8 or 16 bits."""
    order = ">" if big_endian else "<"
    height, width, samples = pixels.shape
    kind = pixels.dtype.newbyteorder(order)
    planes = [pixels[..., c:c + 1] for c in range(samples)] if planar else [pixels]
    blocks = []
    for plane in planes:
        if tile:
            padded = np.pad(plane, ((0, -height % tile), (0, -width % tile), (0, 0)))
            blocks += [padded[y:y + tile, x:x + tile].astype(kind).tobytes()
                       for y in range(0, height, tile) for x in range(0, width, tile)]
        else:
            blocks += [plane[y:y + rows].astype(kind).tobytes() for y in range(0, height, rows)]
    bits = pixels.dtype.itemsize * 8
    if photometric is None:
        photometric = 2 if samples >= 3 else 1
    places, at = [], 8
    for block in blocks:
        places.append(at)
        at += len(block) + len(block) % 2
    sizes = [len(block) for block in blocks]
    tags = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * samples), (259, 3, [1]),
            (262, 3, [photometric]), (274, 3, [orientation]), (277, 3, [samples]),
            (284, 3, [2 if planar else 1])]
    tags += [(322, 4, [tile]), (323, 4, [tile]), (324, 4, places), (325, 4, sizes)] if tile else [
        (273, 4, places), (278, 4, [rows]), (279, 4, sizes)]
    tags += [(338, 3, [extra])] if extra is not None else []
    tags = sorted({tag[0]: tag for tag in tags + list(more)}.values())
    directory, far = b"", b""
    behind = at + 2 + 12 * len(tags) + 4
    for tag, type_, values in tags:
        data = struct.pack(order + {3: "H", 4: "I"}[type_] * len(values), *values)
        if len(data) > 4:
            place = struct.pack(order + "I", behind + len(far))
            far += data
        else:
            place = data.ljust(4, b"\0")
        directory += struct.pack(order + "HHI", tag, type_, len(values)) + place
    head = (b"MM" if big_endian else b"II") + struct.pack(order + "HI", 42, at)
    body = b"".join(block + b"\0" * (len(block) % 2) for block in blocks)
    return head + body + struct.pack(order + "H", len(tags)) + directory + b"\0" * 4 + far


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tile", [None, 16])
@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tiff_layouts(through, tmp_path, channels, bits, big_endian, tile, planar):
    pixels = np.random.default_rng(channels).integers(0, 2**bits, (19, 37, channels))
    pixels = pixels.astype(np.uint16 if bits == 16 else np.uint8)
    data = tiff(pixels, big_endian, tile, planar, extra=2 if channels % 2 == 0 else None)
    _, line = through(data, "a.tif")
    assert line["channels"] == channels and line["bits"] == bits
    if channels == 2:
        return  # OpenCV reads no gray with alpha
    got = cv2.imread(str(tmp_path / "out.png"), cv2.IMREAD_UNCHANGED).reshape(pixels.shape)
    assert (got == pixels[..., {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]]).all()


def test_tiff_white_premultiplied_and_unnamed(through):
    gray = colours(channels=1)[..., None]
    same(through(tiff(gray, photometric=0), "a.tif")[0], tiff(gray, photometric=0))
    pixels = colours(channels=4)
    pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])
    got, line = through(tiff(pixels, extra=1), "a.tif")
    assert line["channels"] == 4
    same(got, tiff(pixels, extra=1), "RGBA")
    got, line = through(tiff(pixels, extra=0), "a.tif")
    assert line["channels"] == 3 and (np.array(got) == pixels[..., :3]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("palette", [False, True])
def test_tiff_orientation(through, orientation, palette):
    pixels = colours()
    data = tiff(pixels, orientation=orientation)
    wanted = pixels
    if palette:
        image = Image.fromarray(pixels).quantize(64)
        data = saved(image, "TIFF", tiffinfo={274: orientation})
        wanted = np.array(image.convert("RGB"))
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(
        with_chunk(saved(wanted, "PNG"), b"eXIf", exif_of(orientation).tobytes()[6:]))))
    assert (np.array(through(data, "a.tif")[0]) == np.array(turned)).all()


def test_tiff_pages_thumbnails_and_floats(through):
    first, second = (Image.fromarray(colours(seed=s)) for s in (1, 2))
    data = saved(first, "TIFF", save_all=True, append_images=[second])
    got, line = through(data, "a.tif")
    assert (np.array(got) == np.array(first)).all() and "more images" in line["remark"]
    _, line = through(tiff(colours(), more=[(254, 4, [1])]), "a.tif", code=1)
    assert "thumbnail" in line["error"]
    _, line = through(saved(Image.fromarray(np.ones((4, 4), np.float32)), "TIFF"), "a.tif", code=1)
    assert "floating-point" in line["error"]
    _, line = through(tiff(colours()), "a.dng", code=1)
    assert "raw" in line["error"]


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("photometric", [0, 1])
def test_tiff_of_few_bits(through, bits, photometric):
    packed = np.random.default_rng(bits).integers(0, 256, (12, 6, 1), np.uint8)
    more = [(256, 4, [6 * 8 // bits]), (258, 3, [bits])]
    data = tiff(packed, photometric=photometric, more=more)
    got, line = through(data, "a.tif")
    assert line["channels"] == 1
    same(got, data, "L")


def test_tiff_of_64_bit_offsets(through):
    data = saved(Image.fromarray(colours()), "TIFF", big_tiff=True)
    assert data[:4] == b"II+\0"
    same(through(data, "a.tif")[0], data)


# ---- WebP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("channels", [3, 4])
def test_webp(through, channels, lossless):
    data = saved(colours(channels=channels), "WEBP", lossless=lossless)
    got, line = through(data, "a.webp")
    assert line["channels"] == channels
    same(got, data)


def test_webp_animated_or_cut(through):
    frames = [Image.fromarray(colours(seed=s)) for s in (1, 2)]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=40)
    _, line = through(data, "a.webp", code=1)
    assert "an animated WebP" in line["error"]
    data = saved(frames[0], "WEBP")
    for cut in (1, 20, len(data) // 2):
        _, line = through(data[:-cut], "a.webp", code=1)
        assert "cut short" in line["error"]


# ---- results -------------------------------------------------------------------------------------


@pytest.mark.parametrize("out", ["out.png", "out.tif", "out.TIFF", "out.webp", "out.bmp",
                                 "out.jpg"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_results_in_each_format(through, channels, out):
    pixels = colours(channels=channels)
    got, line = through(saved(pixels, "PNG"), "a.png", out)
    kept = {"jpg": {1: 1, 3: 3, 4: 3}, "webp": {1: 3, 3: 3, 4: 4}}.get(out[4:].lower(), {})
    kept = kept.get(channels, channels)
    assert line["channels"] == kept and got.mode == {1: "L", 3: "RGB", 4: "RGBA"}[kept]
    assert ("alpha" in line.get("remark", "")) == (kept < channels)
    wanted = Image.fromarray(pixels).convert(got.mode)
    difference = np.abs(np.array(got, int) - np.array(wanted, int))
    assert difference.max() == 0 if out != "out.jpg" else difference.mean() < 4


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tiff_result_of_16_bits(through, tmp_path, channels):
    pixels = np.random.default_rng(2).integers(0, 65536, (90, 141, channels), np.uint16)
    data = tiff(pixels, extra=2 if channels % 2 == 0 else None)
    through(data, "a.tif", "out.tif", known=channels != 2)
    if channels != 2:
        got = cv2.imread(str(tmp_path / "out.tif"), cv2.IMREAD_UNCHANGED).reshape(pixels.shape)
        assert (got == pixels[..., {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[channels]]).all()
    (tmp_path / "b.tif").write_bytes((tmp_path / "out.tif").read_bytes())
    _, line = through((tmp_path / "b.tif").read_bytes(), "b.tif", "again.tif",
                      known=channels != 2)
    assert (line["channels"], line["bits"]) == (channels, 16)
    assert (tmp_path / "again.tif").read_bytes() == (tmp_path / "out.tif").read_bytes()


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # has the time in it


def profile(space="RGB "):
    made = bytearray(SRGB)
    made[16:20] = space.encode()
    return bytes(made)


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("out", ["png", "jpg", "tif", "webp", "bmp"])
def test_profiles_are_kept(through, kind, out):
    name = {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind)
    data = saved(colours(), name, icc_profile=profile())
    got, line = through(data, f"a.{kind}", f"out.{out}")
    if out == "bmp":
        assert "profile" in line["remark"]
    else:
        assert got.info["icc_profile"] == profile()


def test_long_profile_in_a_jpeg(through):
    long = profile() + bytes(range(256)) * 600
    long = len(long).to_bytes(4, "big") + long[4:]
    got, _ = through(saved(colours(), "JPEG", icc_profile=long), "a.jpg", "out.jpg")
    assert got.info["icc_profile"] == long


def test_profile_of_other_colours(through):
    """A profile of gray stays with gray, and one of inks does not go with the RGB made of them."""
    gray = profile("GRAY")
    got, _ = through(saved(colours(channels=1), "JPEG", icc_profile=gray), "a.jpg", "out.jpg")
    assert got.info["icc_profile"] == gray
    got, line = through(saved(colours(), "JPEG", icc_profile=gray), "a.jpg", "out.jpg")
    assert "icc_profile" not in got.info and "not of RGB" in line["remark"]
    image = Image.fromarray(colours()).convert("CMYK")
    got, line = through(saved(image, "JPEG", icc_profile=profile("CMYK")), "a.jpg", "out.jpg")
    assert "icc_profile" not in got.info and "not of RGB" in line["remark"]
    got, line = through(saved(colours(channels=1), "JPEG", icc_profile=gray), "a.jpg", "out.webp")
    assert "icc_profile" not in got.info and "profile of gray" in line["remark"]


@pytest.mark.parametrize("out", ["tif", "bmp"])
def test_exif_that_is_left_out_is_told(through, out):
    _, line = through(saved(colours(), "JPEG", exif=exif_of(1)), "a.jpg", f"out.{out}")
    assert "EXIF is not written" in line["remark"]


@pytest.mark.parametrize("out", ["tif", "png", "jpg"])
def test_what_a_tiff_says_of_its_camera_is_left_out(through, out):
    inside = TiffImagePlugin.ImageFileDirectory_v2()
    inside[0x829A] = 0.01  # the time of exposure
    notes = TiffImagePlugin.ImageFileDirectory_v2()
    notes[0x8769] = dict(inside)
    for options, said in (({"exif": exif_of(6)}, True), ({"tiffinfo": notes}, True), ({}, False)):
        data = saved(colours(40, 56), "TIFF", dpi=(300, 300), **options)
        assert said == any(tag in Image.open(io.BytesIO(data)).tag_v2 for tag in (0x010F, 0x8769))
        got, line = through(data, "a.tif", f"out.{out}")
        assert got.size == ((40, 56) if "exif" in options else (56, 40))
        assert ("camera or author was left out" in line.get("remark", "")) == said
        assert not got.getexif().get(0x010F)


def test_exif_too_long_for_a_jpeg(through):
    long = with_chunk(saved(colours(), "PNG"), b"eXIf", exif_of(1).tobytes()[6:] + bytes(65528))
    got, line = through(long, "a.png", "out.webp")
    assert got.getexif()[0x010F] == "a camera" and "remark" not in line
    got, line = through(long, "a.png", "out.jpg")
    assert not got.getexif() and "EXIF is not written" in line["remark"]


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("out", ["png", "jpg", "tif", "bmp"])
def test_pixels_an_inch_are_kept(through, kind, out):
    name = {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind)
    got, _ = through(saved(colours(), name, dpi=(300, 150)), f"a.{kind}", f"out.{out}")
    assert tuple(round(float(v)) for v in got.info["dpi"]) == (300, 150)
    got, _ = through(saved(colours(), name), f"a.{kind}", f"out.{out}")
    if kind != "bmp":  # which Pillow writes with 96
        assert got.info.get("dpi", (0, 0))[0] in (0, 1)


def test_pixels_an_inch_turn_with_the_picture(through):
    data = saved(colours(), "JPEG", dpi=(300, 150), exif=exif_of(6))
    got, _ = through(data, "a.jpg")
    assert tuple(round(float(v)) for v in got.info["dpi"]) == (150, 300)

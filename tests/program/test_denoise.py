"""`run-model ffdnet` on image files: pixels, kinds, folders, tiles, levels, comparison."""

import shutil
from collections import OrderedDict

import cv2
import numpy as np
import pytest
import torch

from conftest import json_lines
from reference import checkpoints, exports, ffdnet

COLOURS = {1: [], 2: [], 3: [2, 1, 0], 4: [2, 1, 0, 3]}  # between RGB and OpenCV's order


def picture(height, width, channels=3, bits=8, seed=1):
    """Smooth colours with noise, (H,W) or (H,W,C), RGB."""
    g = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    planes = [0.5 + 0.3 * np.sin(x / (9 + c) + y / 13) for c in range(channels)]
    values = np.stack(planes, 2) + g.normal(0, 0.06, (height, width, channels))
    scaled = np.round(np.clip(values, 0, 1) * (2**bits - 1))
    return scaled.astype(np.uint8 if bits == 8 else np.uint16).squeeze()


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    order = COLOURS[pixels.shape[2]] if pixels.ndim == 3 else []
    assert cv2.imwrite(str(path), pixels[..., order] if order else pixels)
    return path


def read(path):
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None, path
    return pixels[..., COLOURS[pixels.shape[2]]] if pixels.ndim == 3 else pixels


def planes_of(pixels):
    """(H,W) or (H,W,C) to (1,C,H,W) in [0,1]."""
    full = 255 if pixels.dtype == np.uint8 else 65535
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy((planes / full).astype(np.float32))[None]


def expected(network, pixels, sigma):
    """What the network gives, in levels, not rounded."""
    full = 255 if pixels.dtype == np.uint8 else 65535
    result = network(planes_of(pixels), torch.full((1,), sigma))[0]
    return (result.clamp(0, 1) * full).numpy().transpose(1, 2, 0).squeeze()


@pytest.fixture(scope="session")
def identity(tmp_path_factory):
    """identity(channels): weights that find no noise, so that pictures come back as they went."""
    folder = tmp_path_factory.mktemp("identity")

    def get(channels):
        model = ffdnet.random_ffdnet("ipol", channels, 4, 3)
        state = OrderedDict(model.state_dict())
        state.update((k, v * 0) for k, v in state.items() if v.dim() == 4)
        return checkpoints.save_zip(state, folder / f"{channels}.pth")

    return get


@pytest.fixture
def denoise(program, tmp_path):
    """denoise(pixels, weights, ...): writes, runs, reads."""

    def run(pixels, weights, *arguments, name="in.png", out="out.png"):
        source = write(tmp_path / name, pixels)
        arguments = ["ffdnet", source, "-o", tmp_path / out, "--weights", weights, *arguments]
        program.run(*arguments)
        return read(tmp_path / out)

    return run


# ---- pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("height, width", [(48, 64), (33, 47), (1, 1), (2, 31)])
@pytest.mark.parametrize("kind", ["ipol", "author"])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels(denoise, ffdnet_network, channels, kind, height, width, bits):
    network = ffdnet_network(kind, channels, 20, 5)
    pixels = picture(height, width, channels, bits)
    pixels = pixels.reshape((height, width) if channels == 1 else (height, width, 3))
    got = denoise(pixels, network.file("zip"), "--sigma", "25")
    assert got.dtype == pixels.dtype and got.shape == pixels.shape
    wanted = expected(network, pixels, 25 / 255).reshape(got.shape)
    # Half a level of rounding, and the accuracy of the network.
    assert np.abs(got - wanted).max() <= 0.5 + 5e-5 * (255 if bits == 8 else 65535)


def test_truncation(denoise, ffdnet_network):
    network = ffdnet_network("ipol", 3, 20, 5)
    pixels = picture(60, 50)
    wanted = expected(network, pixels, 25 / 255)
    got = denoise(pixels, network.file("zip"), "--sigma", "25", "--compat-truncate")
    below = wanted - got
    assert below.min() > -0.02 and below.max() < 1.02 and below.max() > 0.9


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("weights", [1, 3], ids=["gray-weights", "colour-weights"])
def test_kinds_stay(denoise, identity, weights, channels, bits):
    pixels = picture(30, 41, channels, bits)
    assert (denoise(pixels, identity(weights), "--sigma", 10) == pixels).all()


def test_alpha_is_not_denoised(denoise, ffdnet_network):
    network = ffdnet_network("author", 3, 20, 5)
    pixels = picture(40, 44, 4)
    got = denoise(pixels, network.file("zip"), "--sigma", 25)
    assert (got[..., 3] == pixels[..., 3]).all() and (got[..., :3] != pixels[..., :3]).mean() > 0.5
    opaque = denoise(pixels[..., :3], network.file("zip"), "--sigma", 25)
    assert (opaque == got[..., :3]).all()


def test_gray_weights_take_each_colour_by_itself(denoise, ffdnet_network):
    weights = ffdnet_network("author", 1, 20, 5).file("zip")
    pixels = picture(35, 52)
    got = denoise(pixels, weights, "--sigma", 25)
    for c in range(3):
        alone = denoise(np.ascontiguousarray(pixels[..., c]), weights, "--sigma", 25)
        assert (got[..., c] == alone).all()


def test_colour_weights_on_gray_give_the_mean(denoise, ffdnet_network):
    network = ffdnet_network("author", 3, 20, 5)
    pixels = picture(35, 52, 1)
    tripled = network(planes_of(pixels).expand(1, 3, -1, -1), torch.full((1,), 0.1))
    wanted = (tripled.mean(1)[0].clamp(0, 1) * 255).numpy()
    got = denoise(pixels, network.file("zip"), "--sigma", 0.1)
    assert got.ndim == 2 and np.abs(got - wanted).max() < 0.52


# ---- formats -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.bmp", "a.ppm", "a.pgm", "A.PNG", "wide.ppm", "a b ä.png"])
def test_formats_in(denoise, identity, name):
    channels = 1 if name.endswith("pgm") else 3
    pixels = picture(21, 30, channels, 16 if name.startswith("wide") else 8)
    assert (denoise(pixels, identity(channels), "--sigma", 5, name=name) == pixels).all()


def test_jpeg_in_and_out(denoise, identity, tmp_path):
    pixels = picture(40, 48)
    decoded = denoise(pixels, identity(3), "--sigma", 5, name="a.jpg")
    reference = read(tmp_path / "a.jpg")
    assert np.abs(decoded.astype(int) - reference).max() <= 4  # decoders round differently
    again = denoise(pixels, identity(3), "--sigma", 5, out="b.JPG")
    assert np.abs(again.astype(int) - pixels).mean() < 4


def test_bmp_out_of_16_bits(denoise, identity):
    pixels = picture(20, 31, 4, 16)
    got = denoise(pixels, identity(3), "--sigma", 5, out="b.bmp")
    assert (got == np.round(pixels / 257).astype(np.uint8)).all()


def test_default_name(program, identity, tmp_path):
    write(tmp_path / "some.dir/photo.v2.bmp", picture(9, 9))
    done = program.run("ffdnet", "some.dir/photo.v2.bmp", "-w", identity(3), cwd=tmp_path)
    assert done.stdout.startswith("some.dir/photo.v2_denoised.png: 9x9 RGB, 8 bits, sigma ")
    assert (read(tmp_path / "some.dir/photo.v2_denoised.png") == picture(9, 9)).all()


# ---- the level ---------------------------------------------------------------------------------


def test_levels_on_both_scales(denoise, ffdnet_network):
    weights = ffdnet_network("ipol", 3, 20, 5).file("zip")
    pixels = picture(40, 40)
    results = [denoise(pixels, weights, "--sigma", s) for s in (51, 0.2, "51.0")]
    assert all((r == results[0]).all() for r in results)
    assert (denoise(pixels, weights, "--sigma", 5) != results[0]).any()


def test_map_of_levels(denoise, ffdnet_network, tmp_path):
    """A flat map is the level; with two halves each is as with its own level away from the seam."""
    weights = ffdnet_network("ipol", 3, 20, 5).file("zip")
    pixels = picture(40, 120)
    level = np.full((40, 120), 51, np.uint8)
    at = write(tmp_path / "map.png", level)
    low = denoise(pixels, weights, "--sigma", 51)
    assert (denoise(pixels, weights, "--sigma", at) == low).all()
    level[:, 60:] = 102
    write(tmp_path / "map.png", level)
    both = denoise(pixels, weights, "--sigma", at)
    high = denoise(pixels, weights, "--sigma", 102)
    assert (both[:, :20] == low[:, :20]).all() and (both[:, 100:] == high[:, 100:]).all()
    assert (both != low).any() and (both != high).any()


def test_map_that_does_not_fit(program, identity, tmp_path):
    source = write(tmp_path / "a.png", picture(20, 20))
    at = write(tmp_path / "map.png", picture(20, 21, 1))
    done = program.run("ffdnet", source, "-w", identity(3), "--sigma", at, code=1)
    assert "a.png: the map of noise is 21x20" in done.stderr and done.stderr.count("\n") == 1
    done = program.run("ffdnet", source, "-w", identity(3), "--sigma", "nowhere.png", code=1)
    assert "nowhere.png: cannot open" in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "map.png"]


# Of strong noise a part is lost where black and white cut it off.
@pytest.mark.parametrize("sigma, error", [(5, 0.03), (10, 0.03), (25, 0.03), (50, 0.06)])
def test_estimate(program, identity, tmp_path, sigma, error):
    g = np.random.default_rng(3)
    y, x = np.mgrid[:300, :320]
    clean = 128 + 30 * np.sin(x / 40) * np.cos(y / 30)
    noisy = np.clip(np.round(clean + g.normal(0, sigma, clean.shape)), 0, 255).astype(np.uint8)
    source = write(tmp_path / "a.png", noisy)
    line = json_lines(program.run("ffdnet", source, "-w", identity(1), "--json").stdout)[0]
    assert line["sigma"] == pytest.approx(sigma, rel=error)
    arguments = ["ffdnet", source, "-w", identity(1), "--sigma", "auto", "--json"]
    assert json_lines(program.run(*arguments).stdout)[0]["sigma"] == line["sigma"]


def test_bytes_of_a_damaged_picture_stay_out_of_the_message(program, identity, tmp_path):
    source = write(tmp_path / "a.png", picture(20, 30))
    source.write_bytes(source.read_bytes().replace(b"IDAT", b"\x1bDA\xff"))
    done = program.run("ffdnet", source, "-w", identity(3), "--sigma", 5, code=1)
    assert done.stderr.count("\n") == 1 and "damaged" in done.stderr
    assert done.stderr.strip().isprintable()


def test_gray_bmp_is_gray(program, identity, tmp_path):
    source = write(tmp_path / "a.bmp", picture(21, 30, 1))
    arguments = ["ffdnet", source, "-o", tmp_path / "b.png", "-w", identity(1), "--sigma", 5]
    line = json_lines(program.run(*arguments, "--json").stdout)[0]
    assert line["channels"] == 1 and (read(tmp_path / "b.png") == picture(21, 30, 1)).all()


@pytest.mark.parametrize("width", [1, 8, 29])
def test_black_and_white(program, identity, tmp_path, width):
    black = np.random.default_rng(1).random((13, width)) < 0.5
    head = f"\n# a comment\n{width} 13\n".encode()
    rows = np.packbits(black, axis=1).tobytes()
    text = "\n".join("".join("01"[int(b)] for b in row) for row in black).encode()
    for kind, body in ((b"P4", rows), (b"P1", text), (b"P1", b" ".join(text.split()))):
        source = tmp_path / "a.pbm"
        source.write_bytes(kind + head + body)
        arguments = ["ffdnet", source, "-o", tmp_path / "b.png", "-w", identity(1), "--sigma", 5]
        program.run(*arguments)
        assert (read(tmp_path / "b.png") == np.where(black, 0, 255)).all()
        source.write_bytes(kind + head + body[:-1])
        done = program.run(*arguments, code=1)
        assert "a.pbm: the PNM is cut short" in done.stderr


# ---- networks from ONNX files --------------------------------------------------------------------


class LevelOfFourDimensions(torch.nn.Module):
    """As the author's code takes it: (N,1,1,1)."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image, sigma):
        return self.network(image, sigma.view(-1))


def exported(network, path, free, four=False, size=(32, 48)):
    image, sigma = ffdnet.random_inputs(1, network_channels(network), *size, 1)
    if four:
        network, sigma = LevelOfFourDimensions(network), sigma.view(-1, 1, 1, 1)
    made = exports.Example(network, (image, sigma), (), ["image", "sigma"], ["denoised"])
    return exports.export(made, path, 17, dynamo=False, sides=free)


def network_channels(network):
    return network.layers[-1].out_channels // 4


@pytest.mark.parametrize("kind, four", [("ipol", False), ("author", False), ("author", True)])
@pytest.mark.parametrize("channels", [1, 3])
def test_onnx_file(program, ffdnet_network, tmp_path, kind, four, channels):
    network = ffdnet_network(kind, channels, 20, 5)
    weights = exported(network.model, tmp_path / "w.onnx", free=[2, 3], four=four)
    results = {}
    for pixels in (picture(371, 291, 3), picture(40, 33, 1)):
        source = write(tmp_path / "a.png", pixels)
        ours = {}
        for name, limit in ((weights, 0), (weights, 5), (network.file("zip"), 0)):
            out = tmp_path / "out.png"
            arguments = ["ffdnet", source, "-o", out, "-w", name, "--sigma", 25, "--json"]
            line = json_lines(program.run(*arguments, "--mem-limit", limit).stdout)[0]
            ours[name, limit] = read(out)
            results[line["tiles"]] = True
        whole, tiled, trained = ours.values()
        assert (whole == tiled).all()
        difference = np.abs(whole.astype(int) - trained.astype(int))
        assert difference.max() <= 1 and (difference > 0).mean() < 0.01
    assert max(results) > 1


def test_onnx_file_that_fixes_its_size(program, ffdnet_network, tmp_path):
    network = ffdnet_network("ipol", 3, 20, 5)
    weights = exported(network.model, tmp_path / "w.onnx", free=[])
    arguments = ["-o", tmp_path / "out.png", "-w", weights]
    program.run("ffdnet", write(tmp_path / "a.png", picture(32, 48)), *arguments)
    program.run("ffdnet", write(tmp_path / "a.png", picture(31, 47)), *arguments)
    done = program.run("ffdnet", write(tmp_path / "b.png", picture(40, 30)), *arguments, code=1)
    assert "b.png" in done.stderr and "40 rows and 30 columns" in done.stderr
    levels = write(tmp_path / "map.png", picture(32, 48, 1))
    source = write(tmp_path / "a.png", picture(32, 48))
    done = program.run("ffdnet", source, *arguments, "--sigma", levels, code=1)
    assert "one level" in done.stderr


def test_onnx_file_that_fixes_an_odd_size(program, ffdnet_network, tmp_path):
    network = ffdnet_network("ipol", 3, 20, 5)
    weights = exported(network.model, tmp_path / "w.onnx", free=[], size=(31, 47))
    arguments = ["-o", tmp_path / "out.png", "-w", weights]
    program.run("ffdnet", write(tmp_path / "a.png", picture(31, 47)), *arguments)
    done = program.run("ffdnet", write(tmp_path / "b.png", picture(32, 48)), *arguments, code=1)
    assert "b.png" in done.stderr and "3,31,47)" in done.stderr


# ---- tiles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_change_nothing(program, ffdnet_network, tmp_path, cpu, channels):
    weights = ffdnet_network("author", 3, 20, 4).file("zip")
    source = write(tmp_path / "a.png", picture(371, 290, channels, 16))
    results = {}
    for limit in (0, 6, 4, 2):
        out = tmp_path / f"{limit}.png"
        arguments = ["ffdnet", source, "-o", out, "-w", weights, "--sigma", 25, "--cpu", cpu]
        line = json_lines(program.run(*arguments, "--mem-limit", limit, "--json").stdout)[0]
        results[line["tiles"]] = read(out)
    assert min(results) == 1 and max(results) > 4 and len(results) >= 3
    assert all((r == results[1]).all() for r in results.values())


def test_too_little_memory(program, ffdnet_network, tmp_path):
    source = write(tmp_path / "a.png", picture(200, 200))
    arguments = ["ffdnet", source, "-w", ffdnet_network("author", 3, 20, 4).file("zip")]
    done = program.run(*arguments, "--sigma", 25, "--mem-limit", 0.1, code=1)
    assert "a.png: 200x200 pixels need" in done.stderr and "limit is 0.1 MB" in done.stderr


# ---- folders -----------------------------------------------------------------------------------


def test_folder(program, identity, tmp_path):
    names = ["a.png", "b/c.bmp", "b/d/e.ppm", "b/d/UPPER.JPG"]
    for seed, name in enumerate(names):
        write(tmp_path / "in" / name, picture(20, 24, seed=seed))
    (tmp_path / "in/notes.txt").write_text("no image")
    shutil.copy(tmp_path / "in/a.png", tmp_path / "in/.hidden.png")
    (tmp_path / "in/b/back").symlink_to(tmp_path / "in")
    out = tmp_path / "in/results"  # inside: results are no sources
    arguments = ["ffdnet", tmp_path / "in", "-o", out, "-w", identity(3), "--sigma", 9]
    done = program.run(*arguments)
    found = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert found == ["a.png", "b/c.bmp", "b/d/UPPER.JPG", "b/d/e.ppm.png"]
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [str(out / n) for n in found]
    assert (read(out / "b/d/e.ppm.png") == picture(20, 24, seed=2)).all()
    # What is there is left alone; what is missing is made; --overwrite makes all.
    (out / "a.png").write_bytes(b"mine")
    (out / "b/c.bmp").unlink()
    done = program.run(*arguments)
    assert done.stdout.count("\n") == 1 and "c.bmp" in done.stdout
    assert done.stderr == "3 of 4 images were there already (--overwrite makes them again)\n"
    assert (out / "a.png").read_bytes() == b"mine"
    assert program.run(*arguments, "--overwrite").stdout.count("\n") == 4
    assert (read(out / "a.png") == picture(20, 24, seed=0)).all()


def test_folder_goes_on_after_a_bad_file(program, identity, tmp_path):
    for i in range(6):
        write(tmp_path / f"in/{i}.png", picture(20, 24, seed=i))
    whole = (tmp_path / "in/2.png").read_bytes()
    (tmp_path / "in/2.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in/4.png").write_text("<html>")
    done = program.run("ffdnet", tmp_path / "in", "-w", identity(3), "--sigma", 9, "--json", code=1)
    lines = json_lines(done.stdout)
    assert [("error" in line) for line in lines] == [i in (2, 4) for i in range(6)]
    assert "2.png" in lines[2]["error"] and "4.png: not a PNG" in lines[4]["error"]
    assert done.stderr.count("run-model ffdnet: ") == 2 == done.stderr.count("\n")
    made = sorted(p.name for p in (tmp_path / "in_denoised").iterdir())
    assert made == ["0.png", "1.png", "3.png", "5.png"]


def test_folder_refusals(program, identity, tmp_path):
    (tmp_path / "in").mkdir()
    arguments = ["ffdnet", tmp_path / "in", "-w", identity(3), "--sigma", 9]
    assert "no images" in program.run(*arguments, code=1).stderr
    write(tmp_path / "in/a.ppm", picture(9, 9))
    write(tmp_path / "in/a.ppm.png", picture(9, 9))
    assert "both be written as a.ppm.png" in program.run(*arguments, code=1).stderr
    done = program.run(*arguments, "-o", tmp_path / "in/.", code=1)
    assert "place of its source" in done.stderr
    source = write(tmp_path / "b.png", picture(9, 9))
    (tmp_path / "in/a.ppm.png").unlink()
    done = program.run(*arguments, "-o", source, code=1)
    assert done.stderr.count("\n") == 1 and "b.png is a file" in done.stderr
    arguments[1] = source
    assert "place of its source" in program.run(*arguments, "-o", source, code=1).stderr
    assert '".gif"' in program.run(*arguments, "-o", tmp_path / "b.gif", code=1).stderr


# ---- comparison --------------------------------------------------------------------------------


def ssim(a, b, full):
    """Wang et al. 2004, written down once more."""
    window = cv2.getGaussianKernel(11, 1.5, cv2.CV_64F)

    def mean(x):
        return cv2.sepFilter2D(x, cv2.CV_64F, window, window)[5:-5, 5:-5]

    values = []
    for c in range(a.shape[2]):
        x, y = a[..., c].astype(float), b[..., c].astype(float)
        mx, my = mean(x), mean(y)
        vx, vy, xy = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        c1, c2 = (0.01 * full) ** 2, (0.03 * full) ** 2
        values.append(((2 * mx * my + c1) * (2 * xy + c2) /
                       ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())
    return np.mean(values)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_reference(program, identity, tmp_path, channels, bits):
    noisy, clean = (picture(37, 52, channels, bits, seed) for seed in (1, 2))
    source, reference = write(tmp_path / "a.png", noisy), write(tmp_path / "b.png", clean)
    arguments = ["ffdnet", source, "-w", identity(3), "--sigma", 9, "--reference", reference]
    line = json_lines(program.run(*arguments, "--json").stdout)[0]
    a, b = (p.reshape(37, 52, -1)[..., :3 if channels > 2 else 1] for p in (noisy, clean))
    full = 2**bits - 1
    psnr = 10 * np.log10(full**2 / ((a.astype(float) - b) ** 2).mean())
    assert line["psnr"] == pytest.approx(psnr, abs=1e-3)
    assert line["ssim"] == pytest.approx(ssim(a, b, full), abs=1e-5)
    text = program.run(*arguments).stdout
    assert f"PSNR {psnr:.2f} dB, SSIM {line['ssim']:.4f}" in text
    write(reference, noisy)
    line = json_lines(program.run(*arguments, "--json").stdout)[0]
    assert line["psnr"] is None and line["ssim"] == 1
    write(reference, picture(37, 51, channels, bits))
    done = program.run(*arguments, code=1)
    assert "b.png: 52x37 pixels of" in done.stderr and "51x37" in done.stderr


SETS = [("CBSD68", "ffdnet_ipol_rgb.pth", "ipol", ffdnet.IPOL, 3),
        ("Set12", "ffdnet_author_gray.pth", "author", "body", 1)]


@pytest.mark.parametrize("folder, weights, kind, prefix, channels", SETS)
def test_published_weights(program, shared_data, tmp_path, folder, weights, kind, prefix, channels):
    """On the same noisy files within 0.02 dB of PyTorch, and far less noise than before."""
    clean = shared_data / "media" / "denoise" / folder
    weights = shared_data / "weights" / weights
    names = sorted(p.name for p in clean.iterdir())[:3]
    g = np.random.default_rng(0)
    for name in names:
        pixels = read(clean / name).astype(float)
        noisy = np.clip(np.round(pixels + g.normal(0, 25, pixels.shape)), 0, 255).astype(np.uint8)
        write(tmp_path / "noisy" / name, noisy)
    arguments = ["ffdnet", tmp_path / "noisy", "-w", weights, "--sigma", 25, "--reference", clean]
    lines = json_lines(program.run(*arguments, "--json").stdout)
    network = ffdnet.loaded(weights, kind, prefix, channels)
    for name, line in zip(names, lines, strict=True):
        with torch.no_grad():
            wanted = np.round(expected(network, read(tmp_path / "noisy" / name), 25 / 255))
        before, after = (10 * np.log10(255**2 / ((p - read(clean / name)) ** 2.0).mean())
                         for p in (read(tmp_path / "noisy" / name).astype(float), wanted))
        assert line["psnr"] == pytest.approx(after, abs=0.02)
        assert line["psnr"] > before + 7


# ---- weights that are found --------------------------------------------------------------------


def test_found_weights_fit_the_picture(program, identity, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    for channels, name in ((3, "ffdnet_color.pth"), (1, "ffdnet_gray.pth")):
        shutil.copy(identity(channels), home / name)
    write(tmp_path / "in/colour.png", picture(9, 9))
    write(tmp_path / "in/gray.png", picture(9, 9, 1))
    env = {"RUN_MODEL_HOME": str(home)}
    arguments = ["ffdnet", tmp_path / "in", "--sigma", 9, "--overwrite"]
    told = program.run(*arguments, env=env).stderr.splitlines()
    assert told == [f"ffdnet weights: {home / 'ffdnet_color.pth'}",
                    f"ffdnet_gray weights: {home / 'ffdnet_gray.pth'}"]
    one = ["ffdnet", tmp_path / "in/gray.png", "--sigma", 9]
    assert program.run(*one, env=env).stderr.splitlines() == told[1:]
    assert program.run(*one, "--quiet", env=env).stderr == ""


def test_weights_of_another_network(program, wav2lip_network, tmp_path):
    source = write(tmp_path / "a.png", picture(9, 9))
    weights = wav2lip_network(1 / 16).file("zip")
    done = program.run("ffdnet", source, "-w", weights, "--sigma", 9, code=1)
    assert "w.pth" in done.stderr and done.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]

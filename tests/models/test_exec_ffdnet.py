"""`exec ffdnet` against PyTorch: both networks, gray and colour, keys, widths, depths, sizes."""

import csv
from collections import OrderedDict

import numpy as np
import pytest
import torch

from conftest import assert_network, json_lines
from reference import checkpoints, ffdnet

KINDS = ("ipol", "author")


def compare(program, network, inputs, folder, *options, kind="zip"):
    got = program.ffdnet(network.file(kind), *inputs, folder, *options)
    assert_network(got, network(*inputs), f"{tuple(inputs[0].shape)}")


@pytest.mark.parametrize("channels", [1, 3, 2], ids=["gray", "colour", "two"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_level(program, ffdnet_network, tmp_path, cpu, kind, channels):
    network = ffdnet_network(kind, channels, 20, 6)
    for height, width in ((48, 66), (9, 14)):
        inputs = ffdnet.random_inputs(2, channels, height, width, 3)
        compare(program, network, inputs, tmp_path, "--cpu", cpu)


SIZES = [(1, 1), (1, 2), (2, 1), (3, 3), (17, 31), (32, 33), (65, 64), (70, 35)]


@pytest.mark.parametrize("height, width", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_odd_sizes(program, ffdnet_network, tmp_path, kind, height, width):
    inputs = ffdnet.random_inputs(2, 3, height, width, height * 100 + width)
    compare(program, ffdnet_network(kind, 3), inputs, tmp_path)


@pytest.mark.parametrize("width, depth", [(1, 2), (7, 3), (33, 4), (16, 15)])
@pytest.mark.parametrize("kind", KINDS)
def test_widths_and_depths(program, ffdnet_network, tmp_path, kind, width, depth):
    for channels in (1, 3):
        inputs = ffdnet.random_inputs(1, channels, 21, 40, width)
        compare(program, ffdnet_network(kind, channels, width, depth), inputs, tmp_path)


@pytest.mark.parametrize("kind, channels, width, depth",
                         [("ipol", 3, 96, 12), ("ipol", 1, 64, 15),
                          ("author", 3, 96, 12), ("author", 1, 64, 15)])
def test_full_size(program, ffdnet_network, tmp_path, cpu, kind, channels, width, depth):
    inputs = ffdnet.random_inputs(1, channels, 61, 64, 5)
    network = ffdnet_network(kind, channels, width, depth)
    compare(program, network, inputs, tmp_path, "--cpu", cpu)


@pytest.mark.parametrize("prefix", ["model", "body", ffdnet.IPOL])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_tell_which_network(program, ffdnet_network, tmp_path, kind, channels, prefix):
    """Whatever the keys are called; only IPOL's own prefix is never the author's network."""
    if kind == "author" and prefix == ffdnet.IPOL:
        pytest.skip("no file has such keys")
    network = ffdnet_network(kind, channels, prefix=prefix)
    inputs = ffdnet.random_inputs(1, channels, 18, 20, 6)
    compare(program, network, inputs, tmp_path)


@pytest.mark.parametrize("file", ["legacy", "safetensors", "training-zip", "training-legacy"])
@pytest.mark.parametrize("kind", KINDS)
def test_formats(program, ffdnet_network, tmp_path, kind, file):
    """The training formats have "module." in front of every key."""
    inputs = ffdnet.random_inputs(1, 3, 20, 22, 7)
    compare(program, ffdnet_network(kind), inputs, tmp_path, kind=file)


def test_counters_may_be_missing(program, ffdnet_network, tmp_path):
    """The published files of IPOL have none."""
    network = ffdnet_network("ipol")
    state = {k: v for k, v in network.state.items() if "num_batches" not in k}
    path = checkpoints.save_legacy(state, tmp_path / "w.pth")
    inputs = ffdnet.random_inputs(1, 3, 16, 18, 8)
    assert_network(program.ffdnet(path, *inputs, tmp_path), network(*inputs))


@pytest.mark.parametrize("kind", KINDS)
def test_one_level_for_a_batch(program, ffdnet_network, tmp_path, kind):
    inputs = ffdnet.random_inputs(3, 3, 19, 20, 9, levels=1)
    compare(program, ffdnet_network(kind), inputs, tmp_path)


def test_levels_that_do_not_fit_the_batch(program, ffdnet_network, tmp_path):
    image, sigma = ffdnet.random_inputs(3, 3, 8, 8, 9, levels=2)
    np.save(tmp_path / "i.npy", image)
    np.save(tmp_path / "s.npy", sigma)
    done = program.run("exec", "ffdnet", "--weights", ffdnet_network("ipol").file("zip"),
                       "--input", f"image={tmp_path}/i.npy", "--input", f"sigma={tmp_path}/s.npy",
                       "--output", f"denoised={tmp_path}/o.npy", code=1)  # fmt: skip
    assert "sigma" in done.stderr and not (tmp_path / "o.npy").exists()


def test_a_missing_layer_is_told(program, ffdnet_network, tmp_path):
    network = ffdnet_network("author")
    state = OrderedDict(network.state)
    del state["model.4.weight"]
    path = checkpoints.save_zip(state, tmp_path / "w.pth")
    np.save(tmp_path / "i.npy", np.zeros((1, 3, 8, 8), np.float32))
    done = program.run("exec", "ffdnet", "--weights", path, "--input", f"image={tmp_path}/i.npy",
                       "--output", f"denoised={tmp_path}/o.npy", code=1)  # fmt: skip
    assert "model.4.bias" in done.stderr


@pytest.mark.parametrize(
    "file, kind, prefix, channels",
    [
        ("ffdnet_ipol_rgb.pth", "ipol", ffdnet.IPOL, 3),
        ("ffdnet_author_gray.pth", "author", "body", 1),
    ],
)
def test_published_weights(program, shared_data, tmp_path, cpu, file, kind, prefix, channels):
    path = shared_data / "weights" / file
    if not path.exists():
        pytest.skip(f"needs {file} in the shared test data")
    model = ffdnet.loaded(path, kind, prefix, channels)
    image, _ = ffdnet.random_inputs(1, channels, 75, 82, 10)
    ramp = torch.linspace(0, 1, 82).expand_as(image)
    noisy = ramp + (image - 0.5) * 0.3
    for level in (0.0, 25 / 255, 75 / 255):
        sigma = torch.tensor([level])
        with torch.no_grad():
            expected = model(noisy, sigma)
        got = program.ffdnet(path, noisy, sigma, tmp_path, "--cpu", cpu)
        assert_network(got, expected, f"{file}, sigma {level}")


@pytest.mark.parametrize("kind", KINDS)
def test_threads_batches_and_repeats(program, ffdnet_network, tmp_path, cpu, kind):
    path = ffdnet_network(kind, 3, 20, 6).file("zip")
    image, sigma = ffdnet.random_inputs(3, 3, 49, 38, 11)
    first = program.ffdnet(path, image, sigma, tmp_path, "--cpu", cpu, "--threads", 1)
    for threads in (1, 2, 3):
        again = program.ffdnet(path, image, sigma, tmp_path, "--cpu", cpu, "--threads", threads)
        assert first.tobytes() == again.tobytes(), f"{threads} threads"
    for i in range(3):
        alone = program.ffdnet(path, image[i : i + 1], sigma[i : i + 1], tmp_path, "--cpu", cpu)
        assert alone.tobytes() == first[i : i + 1].tobytes(), f"item {i}"


def test_tiles_have_the_bits_of_the_whole(program, ffdnet_network, tmp_path, cpu):
    """What models/ffdnet.md promises to those who cut an image."""
    path = ffdnet_network("ipol", 3, 20, 6).file("zip")
    image, sigma = ffdnet.random_inputs(1, 3, 151, 203, 12)
    whole = program.ffdnet(path, image, sigma, tmp_path, "--cpu", cpu)
    halo, top, left, bottom, right = 40, 48, 40, 88, 160
    cut = image[..., top - halo : bottom + halo, left - halo : right + halo]
    tile = program.ffdnet(path, cut, sigma, tmp_path, "--cpu", cpu)
    inside = tile[..., halo : halo + bottom - top, halo : halo + right - left]
    assert np.ascontiguousarray(inside).tobytes() == whole[..., top:bottom, left:right].tobytes()


@pytest.mark.parametrize(
    "file, kind, channels, width, depth, prefix",
    [
        ("ffdnet_tassano_rgb", "ipol", 3, 96, 12, None),
        ("ffdnet_tassano_gray", "ipol", 1, 64, 15, None),
        ("ffdnet_kair_color", "author", 3, 96, 12, None),
        ("ffdnet_kair_gray", "author", 1, 64, 15, None),
    ],
)
def test_reference_has_the_published_keys(key_tables, file, kind, channels, width, depth, prefix):
    with open(key_tables / f"{file}.tsv", encoding="utf-8") as table:
        published = {row["key"]: row["shape"] for row in csv.DictReader(table, delimiter="\t")}
    model = ffdnet.random_ffdnet(kind, channels, width, depth, prefix)
    state = {k: v for k, v in model.state_dict().items() if "num_batches" not in k}
    shapes = {k: ",".join(map(str, v.shape)) for k, v in state.items()}
    assert shapes == {k.removeprefix("module."): v for k, v in published.items()}


def test_info_and_bench(program, ffdnet_network):
    line = json_lines(program.run("list", "--json").stdout)[0]
    listed = next(n for n in line["networks"] if n["name"] == "ffdnet")
    assert listed["parameters"] == 854_688
    assert [i["shape"] for i in listed["inputs"]] == [[None, 3, None, None], [None]]
    path = ffdnet_network("author", 1).file("zip")
    info = json_lines(program.run("info", path, "--json").stdout)[0]
    assert info["network"] == "ffdnet" and info["macs"] > 0
    bench = ["bench", "ffdnet", "--runs", 1, "--seconds", 0, "--json", "--shape", "image=1x3x64x64"]
    assert json_lines(program.run(*bench).stdout)[0]["macs"] == 873_234_432


@pytest.mark.parametrize("height, width", [(48, 66), (9, 15), (64, 33)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_level_for_each_block(program, ffdnet_network, tmp_path, kind, height, width):
    """A flat map is the level itself, bit for bit; another one is as the reference has it."""
    network = ffdnet_network(kind, 3)
    image, sigma = ffdnet.random_inputs(2, 3, height, width, 8)
    blocks = ((height + 1) // 2, (width + 1) // 2)

    def run(level):
        inputs = {"image": image.numpy(), "sigma": level}
        return program.exec("ffdnet-map", network.file("zip"), inputs, ["denoised"], tmp_path)[0]

    flat = run(np.broadcast_to(sigma.numpy()[:, None, None, None], (2, 1, *blocks)))
    assert (flat == program.ffdnet(network.file("zip"), image, sigma, tmp_path)).all()
    level = torch.rand(1, 1, *blocks, generator=torch.Generator().manual_seed(9))
    assert_network(run(level.numpy()), network(image, level))

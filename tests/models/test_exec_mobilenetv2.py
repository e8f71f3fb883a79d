"""`exec mobilenetv2` against PyTorch: widths, image sizes, classes, keys, the ImageNet weights."""

import csv

import numpy as np
import pytest
import torch

from conftest import assert_network, json_lines
from reference import checkpoints, mobilenetv2


def run(program, path, image, folder, *options):
    inputs = {"image": image.numpy()}
    return program.exec("mobilenetv2", path, inputs, ["classLabelProbs"], folder, *options)[0]


def compare(program, network, image, folder, *options, kind="zip"):
    got = run(program, network.file(kind), image, folder, *options)
    assert_network(got, network(image), f"{tuple(image.shape)}")


@pytest.mark.parametrize("width", [0.35, 1.0])
@pytest.mark.parametrize("side", [193, 224])
def test_each_level(program, mobilenetv2_network, tmp_path, cpu, width, side):
    image = mobilenetv2.random_image(1, side, side, side)
    compare(program, mobilenetv2_network(width), image, tmp_path, "--cpu", cpu)


@pytest.mark.parametrize("width", [0.1, 0.5, 0.75, 1.3])
def test_widths(program, mobilenetv2_network, tmp_path, width):
    """At 0.1 many layers have the same channels, and more blocks a residual."""
    image = mobilenetv2.random_image(2, 65, 97, 1)
    compare(program, mobilenetv2_network(width, 7), image, tmp_path)


@pytest.mark.parametrize("height, width", [(32, 32), (33, 63), (64, 200), (127, 96), (40, 32)])
def test_image_sizes(program, mobilenetv2_network, tmp_path, height, width):
    image = mobilenetv2.random_image(3, height, width, height)
    compare(program, mobilenetv2_network(0.35), image, tmp_path)


@pytest.mark.parametrize("kind", ["legacy", "safetensors", "training-zip"])
def test_formats(program, mobilenetv2_network, tmp_path, kind):
    image = mobilenetv2.random_image(1, 64, 64, 2)
    compare(program, mobilenetv2_network(0.35), image, tmp_path, kind=kind)


def test_keys_of_a_sequence_with_softmax(program, mobilenetv2_network, tmp_path):
    network = mobilenetv2_network(0.35, 5)
    path = checkpoints.save_zip({f"0.{k}": v for k, v in network.state.items()}, tmp_path / "w.pth")
    image = mobilenetv2.random_image(2, 48, 48, 3)
    assert_network(run(program, path, image, tmp_path), network(image))


def test_probabilities(program, mobilenetv2_network, tmp_path):
    image = mobilenetv2.random_image(4, 96, 96, 4)
    got = run(program, mobilenetv2_network(0.35).file("zip"), image, tmp_path)
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-5)
    assert (got >= 0).all() and got.max() < 0.99  # the comparisons above say something


def test_imagenet_weights(program, shared_data, tmp_path, cpu):
    path = shared_data / "weights" / "mobilenet_v2_imagenet.pth"
    if not path.exists():
        pytest.skip("needs mobilenet_v2_imagenet.pth in the shared test data")
    model = mobilenetv2.loaded(path)
    for side in (193, 224):
        image = mobilenetv2.random_image(2, side, side, side)
        with torch.no_grad():
            expected = model(image)
        assert_network(run(program, path, image, tmp_path, "--cpu", cpu), expected, f"{side}")


def test_threads_batches_and_repeats(program, mobilenetv2_network, tmp_path, cpu):
    path = mobilenetv2_network(0.35).file("zip")
    image = mobilenetv2.random_image(3, 75, 90, 5)
    first = run(program, path, image, tmp_path, "--cpu", cpu, "--threads", 1)
    for threads in (1, 2, 3):
        again = run(program, path, image, tmp_path, "--cpu", cpu, "--threads", threads)
        assert first.tobytes() == again.tobytes(), f"{threads} threads"
    for i in range(3):
        alone = run(program, path, image[i : i + 1], tmp_path, "--cpu", cpu)
        assert alone.tobytes() == first[i : i + 1].tobytes(), f"item {i}"


def test_reference_has_the_published_keys(key_tables):
    with open(key_tables / "mobilenetv2.tsv", encoding="utf-8") as table:
        published = {row["key"]: row["shape"] for row in csv.DictReader(table, delimiter="\t")}
    state = mobilenetv2.MobileNetV2().state_dict()
    assert {k: ",".join(map(str, v.shape)) for k, v in state.items()} == published


def test_list_info_and_bench(program, mobilenetv2_network):
    line = json_lines(program.run("list", "--json").stdout)[0]
    listed = next(n for n in line["networks"] if n["name"] == "mobilenetv2")
    assert listed["parameters"] == 3_504_872
    info = json_lines(program.run("info", mobilenetv2_network(0.35).file("zip"), "--json").stdout)
    assert info[0]["network"] == "mobilenetv2"
    bench = ["bench", "mobilenetv2", "--runs", 1, "--seconds", 0, "--json"]
    macs = json_lines(program.run(*bench, "--shape", "image=1x3x224x224").stdout)[0]["macs"]
    assert round(macs / 1e3) == 300_774

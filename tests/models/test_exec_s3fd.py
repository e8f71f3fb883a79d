"""`exec s3fd` against PyTorch: widths, formats, odd image sizes, CPU levels."""

import csv

import numpy as np
import pytest

from conftest import assert_network
from reference import clips, s3fd


def compare(program, network, image, folder, kind, *options):
    ours = program.s3fd(network.file(kind), image, folder, *options)
    for name, got, expected in zip(s3fd.OUTPUT_NAMES, ours, network(image)):
        assert_network(got, expected, f"{name} of {tuple(image.shape)}")


@pytest.mark.parametrize(
    "kind", ["zip", "legacy", "safetensors", "training-zip", "shared-storage", "sharded"]
)
def test_formats(program, s3fd_network, tmp_path, kind):
    compare(program, s3fd_network(0.25), s3fd.random_image(1, 64, 96, 1), tmp_path, kind)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_full_width(program, s3fd_network, tmp_path, kind):
    compare(program, s3fd_network(1.0), s3fd.random_image(1, 97, 100, 2), tmp_path, kind)


def test_full_width_at_each_level(program, s3fd_network, tmp_path, cpu):
    image = s3fd.random_image(1, 33, 47, 3)
    compare(program, s3fd_network(1.0), image, tmp_path, "zip", "--cpu", cpu)


SIZES = [(32, 32), (33, 47), (65, 129), (97, 100), (63, 32), (120, 160), (129, 191)]


@pytest.mark.parametrize("height, width", SIZES)
def test_odd_sizes(program, s3fd_network, tmp_path, height, width):
    image = s3fd.random_image(2, height, width, height * 1000 + width)
    compare(program, s3fd_network(0.25), image, tmp_path, "zip")


@pytest.mark.parametrize("channels", [0.25, 0.07], ids=["quarter", "odd"])
def test_each_level(program, s3fd_network, tmp_path, cpu, channels):
    """0.07 gives 4, 9, 18, 36, 72 channels."""
    for batch, height, width in ((1, 33, 47), (3, 65, 39)):
        image = s3fd.random_image(batch, height, width, 5)
        compare(program, s3fd_network(channels), image, tmp_path, "zip", "--cpu", cpu)


def test_black_image(program, s3fd_network, tmp_path):
    """Equal values everywhere: L2 norms of whole maps, edges decided by padding alone."""
    image = s3fd.random_image(1, 40, 56, 6)
    image[:] = image.new_tensor(s3fd.MEAN).neg().view(1, 3, 1, 1)
    compare(program, s3fd_network(0.25), image, tmp_path, "zip")


def test_detector_made_by_hand(program, blob_detector, tmp_path):
    """The crafted detector of the pipeline tests has exact zeros and ones as weights."""
    frame = clips.picture(3, face=(70, 58))[..., ::-1].astype(np.float64) - np.array(s3fd.MEAN)
    image = s3fd.torch.from_numpy(frame.transpose(2, 0, 1)[None].copy()).float()
    compare(program, blob_detector, image, tmp_path, "zip")


def test_too_small_an_image_is_refused(program, s3fd_network, tmp_path):
    np.save(tmp_path / "i.npy", s3fd.random_image(1, 31, 64, 7).numpy())
    done = program.run(
        *["exec", "s3fd", "--weights", s3fd_network(0.25).file("zip")],
        *["--input", f"image={tmp_path}/i.npy", "--output", f"cls1={tmp_path}/o.npy"],
        code=1,
    )
    assert done.stderr.strip()
    assert not (tmp_path / "o.npy").exists()


def test_reference_has_the_published_keys(key_tables):
    with open(key_tables / "s3fd.tsv", encoding="utf-8") as table:
        published = {row["key"]: row["shape"] for row in csv.DictReader(table, delimiter="\t")}
    state = s3fd.S3FD().state_dict()
    assert {k: ",".join(map(str, v.shape)) for k, v in state.items()} == published


def test_reference_maps_have_the_known_sizes(s3fd_network):
    for (height, width), sizes in {
        (256, 256): [64, 32, 16, 12, 6, 3],
        (96, 128): [32, 16, 8, 8, 4, 2],
    }.items():
        maps = s3fd_network(0.07)(s3fd.random_image(1, height, width, 8))
        assert [m.shape[3] for m in maps[::2]] == sizes

"""`exec wav2lip` against PyTorch: widths, formats, batches, CPU levels."""

import csv

import numpy as np
import pytest
import torch

from conftest import assert_network
from reference import checkpoints, wav2lip


@pytest.mark.parametrize("kind", ["training-zip", "legacy", "safetensors"])
def test_full_width(program, wav2lip_network, tmp_path, kind):
    network = wav2lip_network(1.0)
    inputs = wav2lip.random_inputs(2, seed=20)
    ours = program.wav2lip(network.file(kind), inputs, tmp_path)
    assert_network(ours, network(*inputs))


def test_full_width_at_each_level(program, wav2lip_network, tmp_path, cpu):
    network = wav2lip_network(1.0)
    inputs = wav2lip.random_inputs(1, seed=21)
    ours = program.wav2lip(network.file("zip"), inputs, tmp_path, "--cpu", cpu)
    assert_network(ours, network(*inputs), cpu)


@pytest.mark.parametrize(
    "kind",
    [
        "zip",
        "legacy",
        "safetensors",
        "sharded",
        "training-zip",
        "training-legacy",
        "shared-storage",
        "shared-storage-legacy",
    ],
)
def test_formats(program, wav2lip_network, tmp_path, kind):
    network = wav2lip_network(0.25)
    inputs = wav2lip.random_inputs(2, seed=22)
    ours = program.wav2lip(network.file(kind), inputs, tmp_path)
    assert_network(ours, network(*inputs), kind)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    "save, name",
    [
        (checkpoints.save_zip, "w.pth"),
        (checkpoints.save_legacy, "w.pth"),
        (checkpoints.save_safetensors, "w.safetensors"),
    ],
)
def test_stored_precisions(program, wav2lip_network, tmp_path, dtype, save, name):
    """Weights stored in other precisions are widened or rounded once, then computed in fp32."""
    stored = checkpoints.cast(wav2lip_network(0.25).state, dtype)
    path = save(stored, tmp_path / name)
    model = wav2lip.Wav2Lip(0.25).eval()
    model.load_state_dict(checkpoints.cast(stored, torch.float32))
    inputs = wav2lip.random_inputs(2, seed=23)
    with torch.no_grad():
        expected = model(*inputs)
    assert_network(program.wav2lip(path, inputs, tmp_path), expected)


def test_state_dict_without_prefix_and_without_counters(program, wav2lip_network, tmp_path):
    """Old PyTorch wrote no num_batches_tracked; {"state_dict": ...} may come without a prefix."""
    network = wav2lip_network(0.25)
    state = {k: v for k, v in network.state.items() if not k.endswith("num_batches_tracked")}
    inputs = wav2lip.random_inputs(1, seed=24)
    path = checkpoints.save_training_legacy(state, tmp_path / "w.pth", prefix="")
    assert_network(program.wav2lip(path, inputs, tmp_path), network(*inputs))


def test_batches_of_1_to_17(program, wav2lip_network, tmp_path):
    network = wav2lip_network(0.25)
    weights = network.file("zip")
    audio, face = wav2lip.random_inputs(17, seed=100)
    expected = network(audio, face)
    for batch in range(1, 18):
        ours = program.wav2lip(weights, (audio[-batch:], face[-batch:]), tmp_path)
        assert_network(ours, expected[-batch:], f"batch {batch}")


def test_full_width_batch_of_17(program, wav2lip_network, tmp_path):
    network = wav2lip_network(1.0)
    inputs = wav2lip.random_inputs(17, seed=25)
    ours = program.wav2lip(network.file("zip"), inputs, tmp_path)
    assert_network(ours, network(*inputs))


@pytest.mark.parametrize("width", [0.25, 0.3, 1 / 16], ids=["quarter", "odd", "sixteenth"])
def test_widths_at_each_level(program, wav2lip_network, tmp_path, cpu, width):
    """0.3 gives 5, 10, 19, 38, 77, 115, 154 channels: no block size divides them."""
    network = wav2lip_network(width)
    for batch in (1, 3):
        inputs = wav2lip.random_inputs(batch, seed=26 + batch)
        ours = program.wav2lip(network.file("zip"), inputs, tmp_path, "--cpu", cpu)
        assert_network(ours, network(*inputs), f"batch {batch}")


def test_inputs_at_their_limits(program, wav2lip_network, tmp_path, cpu):
    """Silence, black, white: whole maps of equal or zero values."""
    network = wav2lip_network(0.25)
    audio = torch.stack([torch.full((1, 80, 16), v) for v in (-4.0, 4.0, 0.0)])
    face = torch.stack([torch.full((6, 96, 96), v) for v in (0.0, 1.0, 0.5)])
    ours = program.wav2lip(network.file("zip"), (audio, face), tmp_path, "--cpu", cpu)
    assert_network(ours, network(audio, face))


def test_missing_unexpected_and_misshapen_tensors_are_listed_at_once(
    program, wav2lip_network, tmp_path
):
    state = checkpoints.state_of(wav2lip_network(0.25).model)
    missing = "audio_encoder.3.conv_block.0.bias"
    misshapen = "face_decoder_blocks.2.1.conv_block.1.running_var"
    del state[missing]
    state[misshapen] = torch.ones(3)
    state["discriminator.0.weight"] = torch.ones(2, 2)
    path = checkpoints.save_zip(state, tmp_path / "w.pth")
    audio, face = wav2lip.random_inputs(1, seed=27)
    np.save(tmp_path / "a.npy", audio.numpy())
    np.save(tmp_path / "f.npy", face.numpy())
    arguments = ["exec", "wav2lip", "--weights", path, "--input", f"audio={tmp_path}/a.npy"]
    arguments += ["--input", f"face={tmp_path}/f.npy", "--output", f"frames={tmp_path}/o.npy"]
    done = program.run(*arguments, code=1)
    for key in (missing, misshapen, "discriminator.0.weight"):
        assert key in done.stderr
    assert not (tmp_path / "o.npy").exists()


def test_wrong_input_shape_is_refused(program, wav2lip_network, tmp_path):
    audio, face = wav2lip.random_inputs(2, seed=28)
    for bad in ((audio[:, :, :79], face), (audio, face[:, :5]), (audio[:1], face)):
        np.save(tmp_path / "a.npy", bad[0].numpy())
        np.save(tmp_path / "f.npy", bad[1].numpy())
        done = program.run(
            *["exec", "wav2lip", "--weights", wav2lip_network(0.25).file("zip")],
            *["--input", f"audio={tmp_path}/a.npy", "--input", f"face={tmp_path}/f.npy"],
            *["--output", f"frames={tmp_path}/o.npy"],
            code=1,
        )
        assert done.stderr.strip()
        assert not (tmp_path / "o.npy").exists()


def test_reference_has_the_published_keys(key_tables):
    with open(key_tables / "wav2lip.tsv", encoding="utf-8") as table:
        published = {row["key"]: row["shape"] for row in csv.DictReader(table, delimiter="\t")}
    state = wav2lip.Wav2Lip().state_dict()
    assert {k: ",".join(map(str, v.shape)) for k, v in state.items()} == published


def test_reference_is_well_conditioned(wav2lip_network):
    """The comparison is worth something: PyTorch itself is far inside the tolerance, the output is
    spread, and both inputs matter."""
    model = wav2lip_network(0.25).model
    audio, face = wav2lip.random_inputs(2, seed=29)
    with torch.no_grad():
        single = model(audio, face)
        exact = model.double()(audio.double(), face.double())
        other_voice = model(audio.flip(0).double(), face.double())
        other_face = model(audio.double(), face.flip(0).double())
    model.float()
    assert (single - exact).abs().max() < 5e-6
    assert exact.std() > 0.15
    assert exact.max() > 0.9 and exact.min() < 0.1
    assert (other_voice - exact).abs().mean() > 0.008
    assert (other_face - exact).abs().mean() > 0.03

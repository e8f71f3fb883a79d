"""`exec syncnet` and `exec syncnet-latent` against PyTorch."""

import csv

import numpy as np
import pytest
import torch

from conftest import assert_network, json_lines
from reference import checkpoints, exports, syncnet

NAMES = ["audio_embedding", "face_embedding"]


def run(program, weights, inputs, folder, *options, model="syncnet", second="face", **more):
    arrays = {"audio": inputs[0].numpy(), second: inputs[1].numpy()}
    return program.exec(model, weights, arrays, NAMES, folder, *options, **more)


def check(ours, expected, note=""):
    for name, mine, theirs in zip(NAMES, ours, expected, strict=True):
        assert_network(mine, theirs, f"{name} {note}")


@pytest.mark.parametrize("kind", ["training-zip", "legacy", "safetensors"])
def test_full_width(program, syncnet_network, tmp_path, kind):
    network = syncnet_network(1.0)
    inputs = syncnet.random_inputs(2, seed=60)
    check(run(program, network.file(kind), inputs, tmp_path), network(*inputs))


@pytest.mark.parametrize("width", [0.25, 0.3], ids=["quarter", "odd"])
def test_widths_and_batches_at_each_level(program, syncnet_network, tmp_path, cpu, width):
    network = syncnet_network(width)
    for batch in (1, 5):
        inputs = syncnet.random_inputs(batch, seed=61 + batch)
        ours = run(program, network.file("zip"), inputs, tmp_path, "--cpu", cpu)
        check(ours, network(*inputs), f"batch {batch}")


def test_onnx_file(program, tmp_path):
    made = exports.example("syncnet")
    path = exports.export(made, tmp_path / "s.onnx", 17, dynamo=False)
    ours = run(program, path, made.others, tmp_path)
    with torch.no_grad():
        check(ours, made.model(*made.others))


def test_embeddings_have_length_1_even_of_nothing(program, syncnet_network, tmp_path):
    """A vector of zeros stays one: PyTorch divides by 1e-12, not by 0."""
    state = checkpoints.state_of(syncnet_network(0.25).model)
    state["face_encoder.16.conv_block.1.bias"].fill_(-1e9)
    path = checkpoints.save_zip(state, tmp_path / "w.pth")
    audio, face = run(program, path, syncnet.random_inputs(2, 65), tmp_path)
    assert (face == 0).all()
    assert np.abs(np.linalg.norm(audio, axis=1) - 1).max() < 1e-6


@pytest.mark.parametrize("kind", ["u", "xl"])
def test_latent_experts(program, tmp_path, kind):
    model, inputs = syncnet.random_latent(kind, 1 / 8)
    state = {"model." + key: value for key, value in checkpoints.state_of(model).items()}
    path = checkpoints.save_zip({"state_dict": state, "epoch": 3}, tmp_path / "w.ckpt")
    given = inputs(2, 7)
    ours = run(program, path, given, tmp_path, model="syncnet-latent", second="latents")
    with torch.no_grad():
        check(ours, model(*given))


def test_latent_expert_with_whisper_at_full_width(program, tmp_path):
    model, inputs = syncnet.random_latent("u", heard=384, rows=50)
    path = checkpoints.save_safetensors(checkpoints.state_of(model), tmp_path / "w.safetensors")
    given = inputs(1, 8)
    ours = run(program, path, given, tmp_path, model="syncnet-latent", second="latents")
    with torch.no_grad():
        check(ours, model(*given))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: {"netcnnlip.0.weight": torch.ones(96, 3, 5, 7, 7)}, "syncnet_python"),
        (lambda s: s | {"audio_adapter.0.conv_block.0.weight": torch.ones(2, 2, 1, 1)}, "latents"),
        (lambda s: s | {"face_encoder.17.conv_block.0.weight": torch.ones(2, 2, 1, 1)}, "fork"),
    ],
    ids=["syncnet_python", "latent", "fork"],
)
def test_other_experts_are_told_by_name(program, syncnet_network, tmp_path, change, words):
    state = change(checkpoints.state_of(syncnet_network(0.25).model))
    path = checkpoints.save_zip(state, tmp_path / "w.pth")
    done = run_failing(program, path, tmp_path)
    assert words in done.stderr and "lipsync_expert.pth" in done.stderr
    assert done.stderr.count("\n") == 1


def run_failing(program, path, folder):
    audio, face = syncnet.random_inputs(1, 9)
    np.save(folder / "a.npy", audio.numpy())
    np.save(folder / "f.npy", face.numpy())
    return program.run(
        *["exec", "syncnet", "--weights", path, "--output", f"audio_embedding={folder}/o.npy"],
        *["--input", f"audio={folder}/a.npy", "--input", f"face={folder}/f.npy"],
        code=1,
    )


def test_what_is_missing_is_listed(program, syncnet_network, tmp_path):
    state = checkpoints.state_of(syncnet_network(0.25).model)
    del state["audio_encoder.13.conv_block.0.bias"]
    done = run_failing(program, checkpoints.save_zip(state, tmp_path / "w.pth"), tmp_path)
    assert "audio_encoder.13.conv_block.0.bias" in done.stderr


@pytest.mark.parametrize(
    "table, model",
    [
        ("syncnet_color", syncnet.SyncNet),
        ("syncnet_latent_u", lambda: syncnet.SyncNetLatent("u")),
        ("syncnet_latent_xl", lambda: syncnet.SyncNetLatent("xl")),
    ],
)
def test_reference_has_the_published_keys(key_tables, table, model):
    with open(key_tables / f"{table}.tsv", encoding="utf-8") as file:
        published = {row["key"]: row["shape"] for row in csv.DictReader(file, delimiter="\t")}
    state = model().state_dict()
    assert {k: ",".join(map(str, v.shape)) for k, v in state.items()} == published


def test_info_knows_it(program, syncnet_network):
    line = json_lines(program.run("info", syncnet_network(1.0).file("zip"), "--json").stdout)[0]
    assert line["network"] == "syncnet" and abs(line["macs"] / 1.2103e9 - 1) < 0.01


@pytest.mark.parametrize("name", ["s.onnx", "s.mlmodel", "s.mlpackage"])
def test_convert(program, syncnet_network, tmp_path, name):
    """What is written proves itself, and takes the place of the weights."""
    network = syncnet_network(0.25)
    program.run("convert", "syncnet", "--weights", network.file("zip"), "-o", tmp_path / name)
    inputs = syncnet.random_inputs(1, seed=66)
    check(run(program, tmp_path / name, inputs, tmp_path), network(*inputs))


def test_reference_is_well_conditioned(syncnet_network):
    """PyTorch itself is far inside the tolerance, and both inputs matter."""
    model = syncnet_network(0.25).model
    audio, face = syncnet.random_inputs(2, seed=67)
    with torch.no_grad():
        single = model(audio, face)
        exact = model.double()(audio.double(), face.double())
    model.float()
    for mine, theirs in zip(single, exact):
        assert (mine - theirs).abs().max() < 5e-6
        assert (theirs[0] - theirs[1]).abs().max() > 0.01

"""`exec whisper-encoder` against transformers: sizes, batches, formats and both sets of names."""

import json

import numpy as np
import pytest
import torch

from conftest import Network, assert_network, json_lines
from reference import whisper

NAMES = ["features", "last_hidden_state"]


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whisper")
    network = Network(whisper.random_encoder(), folder)
    (folder / "config.json").write_text(network.model.config.to_json_string())
    return network


def random_mel(network, batch, seed):
    config = network.model.config
    g = torch.Generator().manual_seed(seed)
    shape = (batch, config.num_mel_bins, 2 * config.max_source_positions)
    return torch.rand(shape, generator=g) * 2 - 0.5


def run(program, weights, mel, folder, *options):
    inputs = {"input_features": mel.numpy()}
    return program.exec("whisper-encoder", weights, inputs, NAMES, folder, *options)


def check(got, expected):
    for name, ours, theirs in zip(NAMES, got, expected, strict=True):
        assert_network(ours, theirs, name)


@pytest.mark.parametrize("batch", [1, 2])
def test_each_level(program, encoder, tmp_path, cpu, batch):
    mel = random_mel(encoder, batch, batch)
    check(run(program, encoder.file("zip"), mel, tmp_path, "--cpu", cpu), encoder(mel))


@pytest.mark.parametrize("settings", [{"encoder_layers": 1}, {"d_model": 42, "num_mel_bins": 128}])
def test_other_sizes(program, tmp_path, settings):
    network = Network(whisper.random_encoder(**settings), tmp_path)
    (tmp_path / "config.json").write_text(network.model.config.to_json_string())
    mel = random_mel(network, 1, 3)
    check(run(program, network.file("safetensors"), mel, tmp_path), network(mel))


def test_tiny(program, tmp_path):
    settings = {**whisper.TINY, "max_source_positions": 1500, "num_mel_bins": 80}
    network = Network(whisper.random_encoder(**settings), tmp_path)
    mel = random_mel(network, 1, 4)
    got = run(program, network.file("zip"), mel, tmp_path)  # heads of 64, as without a config
    assert got[0].shape == (1, 1500, 5, 384)
    check(got, network(mel))


def in_a_transcriber(state):
    return {f"model.{k}": v for k, v in state.items()} | {"proj_out.weight": torch.zeros(16, 48)}


@pytest.mark.parametrize(
    "change",
    [whisper.original_names, in_a_transcriber, lambda s: {k: v.half() for k, v in s.items()}],
    ids=["original-names", "transcriber", "half"],
)
def test_key_names_and_types(program, encoder, tmp_path, change):
    torch.save(change(encoder.state), tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text(encoder.model.config.to_json_string())
    halved = whisper.random_encoder()
    halved.model.load_state_dict(encoder.state)
    if change(encoder.state).get("encoder.conv1.weight", torch.zeros(1)).dtype == torch.half:
        halved.model.half().float()
    mel = random_mel(encoder, 1, 5)
    with torch.no_grad():
        check(run(program, tmp_path, mel, tmp_path), halved(mel))


def test_original_checkpoint(program, encoder, tmp_path):
    """OpenAI's file: the state below other things."""
    state = whisper.original_names(encoder.state)
    whole = {"dims": {"n_audio_head": 3}, "model_state_dict": state}
    torch.save(whole, tmp_path / "tiny.pt")
    config = json.dumps({"encoder_attention_heads": 3})
    mel = random_mel(encoder, 1, 6)
    check(run(program, tmp_path / "tiny.pt", mel, tmp_path, "--config", config), encoder(mel))


def test_threads_batches_and_repeats(program, encoder, tmp_path, cpu):
    mel, path = random_mel(encoder, 3, 7), encoder.file("zip")
    first = run(program, path, mel, tmp_path, "--cpu", cpu, "--threads", 1)
    for threads in (1, 2, 3):
        again = run(program, path, mel, tmp_path, "--cpu", cpu, "--threads", threads)
        assert [a.tobytes() for a in again] == [a.tobytes() for a in first], f"{threads} threads"
    alone = run(program, path, mel[1:2], tmp_path, "--cpu", cpu)
    assert alone[0].tobytes() == first[0][1:2].tobytes()


def test_heads_that_do_not_fit(program, encoder, tmp_path):
    np.save(tmp_path / "x.npy", random_mel(encoder, 1, 8).numpy())
    done = program.run(
        *("exec", "whisper-encoder", "--weights", encoder.file("zip")),
        *("--config", '{"encoder_attention_heads": 5}'),
        *("--input", f"input_features={tmp_path}/x.npy", "--output", f"features={tmp_path}/o.npy"),
        code=1,
    )
    assert "encoder_attention_heads is 5" in done.stderr, done.stderr


def test_list_and_bench(program, encoder):
    line = json_lines(program.run("list", "--json").stdout)[0]
    networks = {n["name"]: n for n in line["networks"]}
    assert networks["whisper-encoder"]["parameters"] == 8_208_384
    info = json_lines(program.run("info", encoder.file("zip"), "--json").stdout)[0]
    assert info["network"] == "whisper-encoder"
    bench = ["bench", "whisper-encoder", "--runs", 1, "--seconds", 0, "--json"]
    assert json_lines(program.run(*bench).stdout)[0]["macs"] > 10e9

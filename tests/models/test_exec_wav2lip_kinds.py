"""`exec wav2lip` on generators for 96 to 512 pixels against PyTorch, told apart by their keys."""

import csv
import json

import numpy as np
import pytest
import torch

from conftest import assert_network, networks
from reference import checkpoints, exports, wav2lip_kinds
from reference.wav2lip_kinds import CONFIGS, KINDS

WIDTH = 1 / 16
TABLES = {
    "nota96": "nota", "256": "256", "288": "288", "288-prelu": "288_prelu", "sam8": "384_sam8",
    "sam9": "384_sam9", "leaky384": "384_leaky", "leaky512": "512_leaky",
}  # fmt: skip


def narrow(name):
    return wav2lip_kinds.random_generator(name, WIDTH)


generator = networks(narrow)


def config_of(name):
    return ["--config", CONFIGS[name]] if name in CONFIGS else []


@pytest.mark.parametrize("name", KINDS)
def test_kind(program, generator, tmp_path, name):
    network = generator(name)
    inputs = wav2lip_kinds.random_inputs(KINDS[name], 1, seed=20)
    kind = "safetensors" if name in ("288", "sam9") else "training-zip"
    ours = program.wav2lip(network.file(kind), inputs, tmp_path, *config_of(name))
    assert_network(ours, network(*inputs), name)


@pytest.mark.parametrize("name", ["288-prelu", "leaky512", "sam8"])
def test_levels_and_batches(program, generator, tmp_path, cpu, name):
    """Slopes, odd widths, and one pixel spread to 4x4."""
    network = generator(name)
    audio, face = wav2lip_kinds.random_inputs(KINDS[name], 2, seed=21)
    both = program.wav2lip(network.file("zip"), (audio, face), tmp_path, "--cpu", cpu)
    assert_network(both, network(audio, face), cpu)
    one = (audio[1:], face[1:])
    alone = program.wav2lip(network.file("zip"), one, tmp_path, "--cpu", cpu, "--threads", 1)
    assert np.array_equal(alone[0], both[1])


@pytest.mark.parametrize("name", TABLES)
def test_reference_has_the_published_keys(key_tables, name):
    with open(key_tables / f"wav2lip_{TABLES[name]}.tsv", encoding="utf-8") as table:
        published = {row["key"]: row["shape"] for row in csv.DictReader(table, delimiter="\t")}
    with torch.device("meta"):
        state = wav2lip_kinds.Generator(KINDS[name]).state_dict()
    shapes = {key: ",".join(map(str, value.shape)) for key, value in state.items()}
    assert shapes == {key: "" if shape == "scalar" else shape for key, shape in published.items()}


def reach(model, inputs):
    """How far the results move when an input is another one's."""
    audio, face = inputs
    with torch.no_grad():
        plain = model(audio, face)
        return [
            (model(audio.flip(0), face) - plain).abs().max(),
            (model(audio, face.flip(0)) - plain).abs().max(),
            plain.std(),
        ]


@pytest.mark.parametrize("name", TABLES)
def test_reference_is_worth_comparing(generator, name):
    moves = reach(generator(name).model, wav2lip_kinds.random_inputs(KINDS[name], 2, seed=22))
    assert min(moves) > 0.02


@pytest.mark.parametrize(
    "name, slip",
    [
        ("288-prelu", "slopes"), ("sam8", "refined"), ("sam9", "norm"), ("sam9", "attention"),
        ("sam9-leaky-audio", "audio"), ("leaky384", "leaky"),
    ],
)  # fmt: skip
def test_a_slip_would_be_seen(generator, name, slip):
    """Each is far above the tolerance, and so is the order of mean and maximum."""
    model = generator(name).model
    others = {
        "slopes": "288", "refined": "sam8-refined", "attention": "sam9-plain", "audio": "sam9",
    }  # fmt: skip
    if slip in others:
        kind = KINDS[others[slip]]
    else:
        change = {"norm": {"norm": False}, "leaky": {"act": "relu"}}[slip]
        kind = wav2lip_kinds.replace(KINDS[name], **change)
    other = wav2lip_kinds.Generator(kind, WIDTH).eval()
    other.load_state_dict(model.state_dict(), strict=False)
    inputs = wav2lip_kinds.random_inputs(KINDS[name], 1, seed=23)
    with torch.no_grad():
        assert (other(*inputs) - model(*inputs)).abs().max() > 2e-3


# ---- graph files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nota128", "256", "288-prelu", "sam8", "sam9", "leaky384"])
def test_onnx(program, generator, tmp_path, name):
    """Inputs in another order and under other names, one face a run."""
    network = generator(name)
    inputs = wav2lip_kinds.random_inputs(KINDS[name], 1, seed=24)
    names = ["mel_spectrogram", "video_frames"], ["predicted_frames"]
    made = exports.Example(network.model, inputs, inputs, *names)
    path = exports.export(made, tmp_path / "w.onnx", 15, dynamo=False)
    assert_network(program.wav2lip(path, inputs, tmp_path), network(*inputs), name)


@pytest.mark.parametrize(
    "name, ending",
    [
        ("288-prelu", "onnx"), ("sam8", "safetensors"), ("sam9", "mlpackage"),
        ("leaky384", "mlmodel"), ("sam9-plain", "safetensors"),
    ],
)  # fmt: skip
def test_converted(program, generator, tmp_path, name, ending):
    network = generator(name)
    inputs = wav2lip_kinds.random_inputs(KINDS[name], 1, seed=25)
    path = tmp_path / f"w.{ending}"
    program.run("convert", "wav2lip", "--weights", network.file("zip"), "-o", path,
                *config_of(name))  # fmt: skip
    config = config_of(name) if ending == "safetensors" else []
    assert_network(program.wav2lip(path, inputs, tmp_path, *config), network(*inputs), name)


# ---- what is told, and what is refused -----------------------------------------------------------


def test_info_and_bench(program, generator):
    told = json.loads(program.run("info", generator("288").file("zip"), "--json").stdout)
    assert told["network"] == "wav2lip"
    for name in ("256", "sam8"):
        arguments = ["bench", "wav2lip", "--weights", generator(name).file("zip"), "--json"]
        done = program.run(*arguments, "--runs", 1, "--seconds", 0)
        assert json.loads(done.stdout.splitlines()[0])["macs"] > 1e7


def refused(program, state, tmp_path, *words, config=None):
    path = checkpoints.save_zip(state, tmp_path / "w.pth")
    arguments = ["exec", "wav2lip", "--weights", path, "--input", "audio=0", "--input", "face=0"]
    if config:
        arguments += ["--config", config]
    done = program.run(*arguments, "--output", f"frames={tmp_path / 'o.npy'}", code=1)
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and all(word in lines[0] for word in words), done.stderr


@pytest.mark.parametrize(
    "key, shape, words",
    [
        ("face_encoder_blocks.0.0.conv_block.0.weight", (32, 3, 7, 7), "discriminator"),
        ("face_encoder_blocks.0.0.conv_block.0.weight", (16, 8, 7, 7), "latents"),
        ("face_encoder.0.conv_block.0.weight", (32, 15, 7, 7), "sync expert"),
        ("face_encoder_blocks.8.conv_block.0.weight", (512, 512, 1, 1), "stride 2"),
    ],
)
def test_relatives_are_named(program, tmp_path, key, shape, words):
    refused(program, {key: torch.zeros(shape)}, tmp_path, words)


def test_generators_that_are_not_known(program, generator, tmp_path):
    state = dict(generator("256").state)
    key = "face_encoder_blocks.7.0.conv_block.0.weight"
    state[key] = torch.zeros(*state[key].shape[:2], 2, 2)
    refused(program, state, tmp_path, "8 stages", "256")


def test_what_is_missing_is_told_of_each(program, generator, tmp_path):
    for name, key in (
        ("256", "face_decoder_blocks.7.2.conv_block.1.running_var"),
        ("288-prelu", "face_encoder_blocks.3.3.conv_block.0.bias"),
        ("sam8", "audio_refine.1.conv_block.0.bias"),
        ("leaky512", "output_block.2.bias"),
    ):
        state = dict(generator(name).state)
        del state[key]
        refused(program, state, tmp_path, "1 missing", key)


@pytest.mark.parametrize(
    "name, config, words",
    [
        ("sam8", '{"side": 200}', "no multiple of 64"),
        ("sam8", '{"side": 64}', "side"),
        ("sam8", '{"last": "relu"}', "sigmoid, tanh"),
        ("leaky384", '{"pictures": "bytes"}', "unit, signed"),
        ("256", '{"network": "288"}', 'are of "256"'),
        ("256", '{"network": "512"}', "leaky512"),
    ],
)
def test_configs_that_do_not_fit(program, generator, tmp_path, name, config, words):
    refused(program, generator(name).state, tmp_path, words, config=config)

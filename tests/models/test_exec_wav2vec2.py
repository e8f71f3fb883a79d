"""`exec wav2vec2` against transformers: layouts, lengths, batches, formats, the whole in parts."""

import csv
import json

import numpy as np
import pytest
import torch

from conftest import Network, assert_network, json_lines
from reference import checkpoints, wav2vec2

KEY = "encoder.pos_conv_embed.conv.parametrizations.weight."


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """encoder(layout): a network with random weights, its config.json beside them."""
    made = {}

    def get(layout="base"):
        if layout not in made:
            folder = tmp_path_factory.mktemp("wav2vec2")
            made[layout] = Network(wav2vec2.random_encoder(layout), folder)
            config = made[layout].model.config.to_json_string()
            (folder / "config.json").write_text(config)
        return made[layout]

    return get


def run(program, weights, wave, folder, *options, model="wav2vec2"):
    inputs = {"input_values": wave.numpy()}
    return program.exec(model, weights, inputs, ["last_hidden_state"], folder, *options)[0]


@pytest.mark.parametrize(
    "samples, batch", [(400, 1), (719, 2), (16_000, 1), (16_081, 2), (33_333, 1)]
)
@pytest.mark.parametrize("layout", wav2vec2.LAYOUTS)
def test_each_level(program, encoder, tmp_path, cpu, layout, samples, batch):
    network = encoder(layout)
    wave = wav2vec2.random_wave(batch, samples, samples)
    got = run(program, network.file("zip"), wave, tmp_path, "--cpu", cpu)
    assert_network(got, network(wave), f"{layout}, {batch} of {samples} samples")


@pytest.mark.slow
def test_base_size(program, tmp_path):
    network = Network(wav2vec2.random_encoder(narrow=False), tmp_path)
    wave = wav2vec2.random_wave(1, 48_000, 3)
    got = run(program, network.file("safetensors"), wave, tmp_path)
    assert got.shape == (1, 149, 768)
    assert_network(got, network(wave), "base")


def old_names(state):
    """Keys as torch's first weight_norm has them."""
    forms = {
        "parametrizations.weight.original0": "weight_g",
        "parametrizations.weight.original1": "weight_v",
    }
    for new, old in forms.items():
        state = {k.replace(new, old): v for k, v in state.items()}
    return state


def folded(network):
    """The positional convolution's weight as one tensor."""
    state = {k: v for k, v in network.state.items() if "parametrizations" not in k}
    state["encoder.pos_conv_embed.conv.weight"] = (
        network.model.model.encoder.pos_conv_embed.conv.weight.detach()
    )
    return state


def transcriber(state):
    """A CTC model: everything behind a prefix, and a head."""
    state = {f"wav2vec2.{k}": v for k, v in state.items()}
    return {**state, "lm_head.weight": torch.zeros(32, 32), "lm_head.bias": torch.zeros(32)}


@pytest.mark.parametrize(
    "change",
    [old_names, transcriber, lambda s: transcriber(old_names(s))],
    ids=["old-names", "transcriber", "as-published"],
)
@pytest.mark.parametrize("layout", ["base", "large"])
def test_key_names(program, encoder, tmp_path, layout, change):
    network = encoder(layout)
    folder = tmp_path / "hub"
    folder.mkdir()
    torch.save(change(network.state), folder / "pytorch_model.bin")
    (folder / "config.json").write_text(network.model.config.to_json_string())
    wave = wav2vec2.random_wave(1, 5_000, 5)
    assert_network(run(program, folder, wave, tmp_path), network(wave))


def test_a_weight_without_norm(program, encoder, tmp_path):
    network = encoder()
    path = checkpoints.save_zip(folded(network), tmp_path / "w.pth")
    config = network.folder / "config.json"
    wave = wav2vec2.random_wave(1, 5_000, 6)
    assert_network(run(program, path, wave, tmp_path, "--config", config), network(wave))


@pytest.mark.parametrize("kind", ["legacy", "safetensors", "sharded"])
def test_formats(program, encoder, tmp_path, kind):
    network = encoder("large")
    wave = wav2vec2.random_wave(2, 4_000, 7)
    config = network.folder / "config.json"
    got = run(program, network.file(kind), wave, tmp_path, "--config", config)
    assert_network(got, network(wave))


@pytest.mark.parametrize("save", [checkpoints.save_zip, checkpoints.save_safetensors])
def test_half_precision_weights(program, encoder, tmp_path, save):
    network = encoder()
    halved = {k: v.half() for k, v in network.state.items()}
    path = save(halved, tmp_path / "model.safetensors")
    same = wav2vec2.random_encoder()
    same.model.load_state_dict({k: v.float() for k, v in halved.items()})
    wave = wav2vec2.random_wave(1, 4_000, 8)
    got = run(program, path, wave, tmp_path, "--config", network.folder / "config.json")
    with torch.no_grad():
        assert_network(got, same(wave))


@pytest.mark.parametrize("layout", ["base", "large"])
def test_threads_batches_and_repeats(program, encoder, tmp_path, cpu, layout):
    network = encoder(layout)
    wave = wav2vec2.random_wave(3, 9_000, 9)
    path = network.file("zip")
    first = run(program, path, wave, tmp_path, "--cpu", cpu, "--threads", 1)
    for threads in (1, 2, 3):
        again = run(program, path, wave, tmp_path, "--cpu", cpu, "--threads", threads)
        assert first.tobytes() == again.tobytes(), f"{threads} threads"
    for i in range(3):
        alone = run(program, path, wave[i : i + 1], tmp_path, "--cpu", cpu)
        assert alone.tobytes() == first[i : i + 1].tobytes(), f"item {i}"


@pytest.mark.parametrize("layout", ["base", "large"])
def test_in_parts_the_bits_are_those_of_the_whole(program, encoder, tmp_path, cpu, layout):
    network = encoder(layout)
    path, wave = network.file("zip"), wav2vec2.random_wave(2, 20_000, 10).numpy()
    whole = run(program, path, torch.from_numpy(wave), tmp_path, "--cpu", cpu)
    norm = {}
    if layout == "base":
        values = {"input_values": wave}
        norm["norm"] = program.exec("wav2vec2-norm", path, values, ["norm"], tmp_path)[0]
    parts, frames = [], whole.shape[1]
    for first in range(0, frames, 25):
        last = min(first + 25, frames)
        piece = wave[:, first * 320 : (last - 1) * 320 + 400]
        values = {"input_values": piece, **norm}
        parts += program.exec(
            "wav2vec2-features", path, values, ["features"], tmp_path, "--cpu", cpu
        )
    values = {"features": np.concatenate(parts, 1)}
    got = program.exec(
        "wav2vec2-encoder", path, values, ["last_hidden_state"], tmp_path, "--cpu", cpu
    )
    assert got[0].tobytes() == whole.tobytes()


def test_silence_and_an_offset(program, encoder, tmp_path, cpu):
    """No variance at all, and a mean that is ten times the deviation."""
    network = encoder()
    silence = torch.zeros(1, 4_000)
    assert_network(
        run(program, network.file("zip"), silence, tmp_path, "--cpu", cpu), network(silence)
    )
    wave = wav2vec2.random_wave(1, 4_000, 11) * 0.1 + 1
    want = network.model.double()(wave.double()).detach()
    network.model.float()
    assert_network(run(program, network.file("zip"), wave, tmp_path, "--cpu", cpu), want)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c.update(num_attention_heads=5), ["heads"]),
        (lambda c: c.update(feat_extract_norm="layer"), ["feat_extract_norm", "group"]),
        (lambda c: c.update(conv_stride=[5, 2]), ["conv_stride", "2 numbers for 7"]),
        (lambda c: c.update(add_adapter=True), ["add_adapter"]),
        (lambda c: c.update(adapter_attn_dim=16), ["adapter_attn_dim"]),
        (lambda c: c.update(hidden_act="mish"), ["hidden_act", "gelu"]),
    ],
    ids=["heads", "norm", "strides", "adapter", "languages", "activation"],
)
def test_configs_that_do_not_fit(program, encoder, tmp_path, change, words):
    network = encoder()
    config = json.loads(network.model.config.to_json_string())
    change(config)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    np.save(tmp_path / "x.npy", np.zeros((1, 400), np.float32))
    done = program.run(
        *("exec", "wav2vec2", "--weights", network.file("zip"), "--config", path),
        *(
            "--input",
            f"input_values={tmp_path}/x.npy",
            "--output",
            f"last_hidden_state={tmp_path}/o.npy",
        ),
        code=1,
    )
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.pop("encoder.layers.1.final_layer_norm.bias"), ["1 missing"]),
        (lambda s: s.update({"encoder.layer_norm.other": torch.zeros(3)}), ["1 unexpected"]),
        (lambda s: [s.pop(k) for k in list(s) if "conv_layers" in k], ["missing", "conv_layers.6"]),
        (lambda s: s.update({KEY + "original1": torch.zeros(32, 5, 0)}), ["original1", "(32,5,0)"]),
        (lambda s: s.update({KEY + "original1": torch.zeros(32, 5, 3)}), ["original0", "(1,1,3)"]),
        (lambda s: s.update({KEY + "original0": torch.zeros(1, 16)}), ["original0", "(1,16)"]),
    ],
)
def test_weights_that_do_not_fit(program, encoder, tmp_path, change, words):
    state = dict(encoder().state)
    change(state)
    path = checkpoints.save_zip(state, tmp_path / "w.pth")
    np.save(tmp_path / "x.npy", np.zeros((1, 400), np.float32))
    done = program.run(
        *("exec", "wav2vec2", "--weights", path, "--input", f"input_values={tmp_path}/x.npy"),
        *("--output", f"last_hidden_state={tmp_path}/o.npy"),
        code=1,
    )
    assert all(word in done.stderr for word in words), done.stderr


def test_too_few_samples(program, encoder, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 399), np.float32))
    done = program.run(
        *("exec", "wav2vec2", "--weights", encoder().file("zip")),
        *(
            "--input",
            f"input_values={tmp_path}/x.npy",
            "--output",
            f"last_hidden_state={tmp_path}/o.npy",
        ),
        code=1,
    )
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_reference_has_the_published_keys(key_tables):
    with open(key_tables / "wav2vec2_base_new_parametrizations.tsv", encoding="utf-8") as table:
        published = {row["key"]: row["shape"] for row in csv.DictReader(table, delimiter="\t")}
    with torch.device("meta"):
        state = wav2vec2.Encoder().state_dict()
    assert {k: ",".join(map(str, v.shape)) for k, v in state.items()} == published


def test_list_info_and_bench(program, encoder):
    line = json_lines(program.run("list", "--json").stdout)[0]
    networks = {n["name"]: n for n in line["networks"]}
    # all of the published model's but masked_spec_embed
    assert networks["wav2vec2"]["parameters"] == 94_371_712 - 768
    info = json_lines(program.run("info", encoder().file("zip"), "--json").stdout)[0]
    assert info["network"] == "wav2vec2"
    bench = [
        "bench",
        "wav2vec2",
        "--runs",
        1,
        "--seconds",
        0,
        "--json",
        "--shape",
        "input_values=1x16000",
    ]
    macs = json_lines(program.run(*bench).stdout)[0]["macs"]
    assert macs == pytest.approx(6.87e9 + 12 * 2 * 49 * 49 * 768, rel=0.01)

"""`exec unet` against diffusers: plans, files, sizes, time steps, CPU levels."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import Network, assert_network, json_lines, relative_error
from reference import checkpoints, unet, vae

NARROW = ["tiny", "odd", "v2", "v3", "v1", "sd2"]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """network(plan): a UNet, and the folder it is saved in as on a hub."""
    made = {}

    def get(plan, **settings):
        key = (plan, *sorted(settings.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("unet")
            made[key] = Network(unet.random_unet(**unet.PLANS[plan], **settings), folder)
            made[key].model.save_pretrained(folder / "hub")
        return made[key]

    return get


def run(program, weights, inputs, folder, *options):
    arrays = {name: value.numpy() for name, value in inputs.items()}
    return program.exec("unet", weights, arrays, ["out_sample"], folder, *options)[0]


def compare(program, model, weights, inputs, folder, *options):
    ours = run(program, weights, inputs, folder, *options)
    assert_network(ours, unet.run(model, inputs), str(tuple(inputs["sample"].shape)))


SIZES = [(1, 16, 16, 10), (2, 24, 8, 1), (1, 13, 9, 50), (2, 11, 18, 77)]


@pytest.mark.parametrize("plan", NARROW)
@pytest.mark.parametrize("batch, height, width, tokens", SIZES)
def test_sizes(program, network, tmp_path, plan, batch, height, width, tokens):
    at = network(plan)
    inputs = unet.random_inputs(at.model, batch, height, width, tokens, seed=height)
    compare(program, at.model, at.folder / "hub", inputs, tmp_path)


@pytest.mark.parametrize("plan", NARROW)
def test_each_level(program, network, tmp_path, cpu, plan):
    at = network(plan)
    inputs = unet.random_inputs(at.model, 2, 24, 16, 10, steps=(3.0, 999.0))
    compare(program, at.model, at.folder / "hub", inputs, tmp_path, "--cpu", cpu)


def test_published_plan(program, network, tmp_path, cpu):
    at = network("v3_small")
    inputs = unet.random_inputs(at.model, 1, 24, 24)
    compare(program, at.model, at.folder / "hub", inputs, tmp_path, "--cpu", cpu)


@pytest.mark.parametrize("steps", [(0.0,), (1.0,), (981.0,), (0.0, 500.0)])
def test_time_steps(program, network, tmp_path, steps):
    at = network("v2")
    inputs = unet.random_inputs(at.model, 2, 12, 12, steps=steps)
    compare(program, at.model, at.folder / "hub", inputs, tmp_path)


@pytest.mark.parametrize("plan", NARROW)
def test_step0(program, network, tmp_path, cpu, plan):
    """The same network without the input that is always 0 in latent lip-sync."""
    at = network(plan)
    inputs = unet.random_inputs(at.model, 2, 12, 10, steps=(0.0,))
    arrays = {name: value.numpy() for name, value in inputs.items() if name != "timestep"}
    weights = at.folder / "hub"
    options = (["out_sample"], tmp_path, "--cpu", cpu)
    ours = program.exec("unet-step0", weights, arrays, *options)[0]
    assert_network(ours, unet.run(at.model, inputs))


@pytest.mark.parametrize("plan", ["odd", "v3"])
def test_same_bits_for_any_threads(program, network, tmp_path, cpu, plan):
    at = network(plan)
    inputs = unet.random_inputs(at.model, 2, 26, 20, 12)
    first = None
    for threads in (1, 2, 3):
        ours = run(program, at.folder / "hub", inputs, tmp_path, "--cpu", cpu, "--threads", threads)
        first = first or ours.tobytes()
        assert ours.tobytes() == first, f"{threads} threads"


def test_place_in_the_batch(program, network, tmp_path):
    at = network("v2")
    inputs = unet.random_inputs(at.model, 3, 10, 14, steps=(1.0, 5.0, 900.0))
    together = run(program, at.folder / "hub", inputs, tmp_path)
    for i in range(3):
        one = {name: value[i : i + 1] for name, value in inputs.items()}
        alone = run(program, at.folder / "hub", one, tmp_path)
        assert alone.tobytes() == together[i : i + 1].tobytes()


SETTINGS = {
    "sines first": {"flip_sin_to_cos": False},
    "frequency shift": {"freq_shift": 1},
    "centred": {"center_input_sample": True},
    "padded at the end": {"downsample_padding": 0},
    "eps": {"norm_eps": 1e-2},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=list(SETTINGS))
def test_settings(program, network, tmp_path, settings):
    at = network("v2", **settings)
    inputs = unet.random_inputs(at.model, 1, 16, 12, steps=(17.0,))
    compare(program, at.model, at.folder / "hub", inputs, tmp_path)


# ---- bf16 ---------------------------------------------------------------------------------------

BF16 = Path("/proc/cpuinfo").exists() and "avx512_bf16" in Path("/proc/cpuinfo").read_text()


@pytest.mark.skipif(not BF16, reason="the CPU has no products of bf16")
@pytest.mark.parametrize("plan", [*NARROW, "v3_small"])
def test_bf16(program, network, tmp_path, plan):
    at = network(plan)
    inputs = unet.random_inputs(at.model, 1, 24, 20, 10, steps=(3.0,))
    weights, want = at.folder / "hub", unet.run(at.model, inputs)
    ours = run(program, weights, inputs, tmp_path, "--precision", "bf16", "--threads", 1)
    error = relative_error(ours, want)
    assert 0 < error <= 2e-2, error
    again = run(program, weights, inputs, tmp_path, "--precision", "bf16", "--threads", 2)
    assert again.tobytes() == ours.tobytes()


@pytest.mark.skipif(not BF16, reason="the CPU has no products of bf16")
def test_bf16_is_told_for_each_node(program, network, tmp_path):
    at = network("v3")
    inputs = unet.random_inputs(at.model, 1, 16, 16)
    bindings = [f"--input={k}={tmp_path / k}.npy" for k in inputs]
    for name, value in inputs.items():
        np.save(tmp_path / f"{name}.npy", value.numpy())
    bindings.append(f"--output=out_sample={tmp_path}/o.npy")
    options = ["--precision", "bf16", "--profile", "--json"]
    weights = ["--weights", at.folder / "hub"]
    done = program.run("exec", "unet", *weights, *bindings, *options)
    nodes = json_lines(done.stdout)[0]["profile"]
    ran = {op: {n["precision"] for n in nodes if n["op"] == op} for op in {n["op"] for n in nodes}}
    # small ones gain nothing
    assert ran["conv"] == ran["matmul"] == {"bf16", "f32"}
    assert ran["attention"] <= {"bf16", "f32"}  # by the CPU: all of them are small here
    assert ran["group_norm"] == ran["layer_norm"] == {"f32"}
    ends = [n for n in nodes if n["node"] in ("conv_in", "conv_out") and n["macs"]]
    assert len(ends) == 2 and {n["precision"] for n in ends} == {"f32"}


def test_bf16_where_there_is_none(program, network, tmp_path):
    at = network("tiny")
    inputs = unet.random_inputs(at.model, 1, 8, 8)
    options = ("--precision", "bf16", "--cpu", "portable")
    assert "AVX512-BF16" in refusal(program, at.folder / "hub", inputs, tmp_path, *options)


# ---- files --------------------------------------------------------------------------------------


def hub_folder(network, folder, write):
    """A folder with the network's config and weights that `write` puts there."""
    folder.mkdir()
    shutil.copy(network.folder / "hub" / "config.json", folder)
    write(folder)
    return folder


FILES = {
    "safetensors": lambda state: lambda folder: checkpoints.save_safetensors(
        state, folder / "diffusion_pytorch_model.safetensors"
    ),
    "bin": lambda state: lambda folder: checkpoints.save_zip(
        state, folder / "diffusion_pytorch_model.bin"
    ),
    "shards": lambda state: lambda folder: checkpoints.save_sharded(
        state, folder, stem="diffusion_pytorch_model"
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_folders(program, network, tmp_path, kind):
    at = network("v3")
    folder = hub_folder(at, tmp_path / "w", FILES[kind](at.state))
    compare(program, at.model, folder, unet.random_inputs(at.model, 1, 16, 8), tmp_path)


def test_half_precision_file(program, network, tmp_path):
    at = network("v2")
    state = checkpoints.cast(at.state, torch.float16)
    folder = hub_folder(at, tmp_path / "w", FILES["safetensors"](state))
    rounded = unet.random_unet(**unet.PLANS["v2"])
    rounded.load_state_dict(state)
    compare(program, rounded.float(), folder, unet.random_inputs(rounded, 1, 8, 12), tmp_path)


def save_training(state, prefix, path):
    torch.save(vae.lightning_checkpoint(state, prefix, "vae.encoder.conv_in.weight"), path)


@pytest.mark.parametrize("prefix", ["unet.", "module.unet.", "_forward_module.unet."])
def test_training_checkpoint(program, network, tmp_path, prefix):
    """The network of a training, among other modules; its config is named."""
    at = network("odd")
    save_training(at.state, prefix, tmp_path / "last.ckpt")
    inputs = unet.random_inputs(at.model, 1, 12, 8)
    config = ("--config", at.folder / "hub" / "config.json")
    compare(program, at.model, tmp_path / "last.ckpt", inputs, tmp_path, *config)


@pytest.mark.parametrize(
    "plan",
    [
        {"channels": (32, 64, 64), "heads": 4, "layers": 1},
        {"channels": (32, 64, 64), "heads": 8, "layers": 2},
        {"channels": (32, 32, 64, 64), "heads": 8, "layers": 2, "inputs": 4},
        {"channels": (64, 128), "heads": (1, 2), "layers": 1, "linear": True},
    ],
    ids=["v2", "v2 large", "v3", "sd2"],
)
def test_without_a_config(program, tmp_path, plan):
    """Heads are those of the published networks, the rest is told by the weights."""
    model = unet.random_unet(**plan)
    save_training(checkpoints.state_of(model), "unet.", tmp_path / "last.ckpt")
    inputs = unet.random_inputs(model, 1, 8, 16)
    compare(program, model, tmp_path / "last.ckpt", inputs, tmp_path)


# ---- what is refused ----------------------------------------------------------------------------


def refusal(program, weights, inputs, folder, *options):
    bindings = []
    for name, value in inputs.items():
        np.save(folder / f"{name}.npy", value.numpy())
        bindings += ["--input", f"{name}={folder / name}.npy"]
    bindings += ["--output", f"out_sample={folder}/o.npy"]
    done = program.run("exec", "unet", "--weights", weights, *bindings, *options, code=1)
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


@pytest.mark.parametrize(
    "change, words",
    [
        ({"_class_name": "UNet2DModel"}, '_class_name "UNet2DModel" is not supported'),
        ({"down_block_types": ["AttnDownBlock2D"] * 3}, "AttnDownBlock2D"),
        ({"up_block_types": ["UpBlock2D"]}, "up_block_types has 1 items, block_out_channels 3"),
        ({"attention_head_dim": 5}, "5 heads do not share 6 channels"),
        ({"attention_head_dim": [2, 2]}, "attention_head_dim has 2 items"),
        ({"attention_head_dim": 0}, "attention_head_dim is 0"),
        ({"norm_num_groups": 5}, "do not make 5 groups"),
        ({"class_embed_type": "timestep"}, "class_embed_type"),
        ({"dual_cross_attention": True}, "dual_cross_attention is not supported"),
        ({"mid_block_scale_factor": 2}, "mid_block_scale_factor is not 1"),
        ({"block_out_channels": [6, 12]}, "down_block_types has 3 items"),
        ({"block_out_channels": [6, 12, 24]}, "wrong shape"),
        ({"cross_attention_dim": 9}, "wrong shape"),
        ({"layers_per_block": 2}, "missing"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_configs_that_do_not_fit(program, network, tmp_path, change, words):
    at = network("odd")
    config = json.loads((at.folder / "hub" / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    inputs = unet.random_inputs(at.model, 1, 8, 8)
    config = ("--config", tmp_path / "config.json")
    assert words in refusal(program, at.folder / "hub", inputs, tmp_path, *config)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"sample": torch.zeros(1, 4, 8, 8)}, "sample is (1,4,8,8)"),
        ({"encoder_hidden_states": torch.zeros(1, 3, 8)}, "encoder_hidden_states is (1,3,8)"),
        ({"encoder_hidden_states": torch.zeros(2, 3, 7)}, "do not fit"),
        ({"timestep": torch.zeros(3)}, "offset (3,6)"),
    ],
    ids=["channels", "context", "batch", "steps"],
)
def test_inputs_that_do_not_fit(program, network, tmp_path, change, words):
    at = network("odd")
    inputs = unet.random_inputs(at.model, 1, 8, 8) | change
    assert words in refusal(program, at.folder / "hub", inputs, tmp_path)


def test_reference_has_the_published_keys(key_tables, network):
    name = "unet_UNet_V2_customized_unet_v3_small.tsv"
    with open(key_tables / name, encoding="utf-8") as table:
        published = {row["key"]: row["shape"] for row in csv.DictReader(table, delimiter="\t")}
    state = network("v3_small").state
    assert {k: ",".join(map(str, v.shape)) for k, v in state.items()} == published

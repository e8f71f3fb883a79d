"""`exec vae-encoder` and `vae-decoder` against diffusers: plans, files, sizes, CPU levels."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

from conftest import Network, assert_network
from reference import checkpoints, vae


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """network(plan): an autoencoder, and the folder it is saved in as on a hub."""
    made = {}

    def get(plan, **settings):
        key = (plan, *sorted(settings.items()))
        if key not in made:
            folder = tmp_path_factory.mktemp("vae")
            made[key] = Network(vae.random_vae(**vae.PLANS[plan], **settings), folder)
            made[key].model.save_pretrained(folder / "hub")
        return made[key]

    return get


def encode(program, weights, image, folder, *options, **settings):
    inputs = {"sample": image.numpy()}
    names = ["latent_parameters"]
    return program.exec("vae-encoder", weights, inputs, names, folder, *options, **settings)[0]


def decode(program, weights, latent, folder, *options, **settings):
    inputs = {"latent_sample": latent.numpy()}
    return program.exec("vae-decoder", weights, inputs, ["sample"], folder, *options, **settings)[0]


def compare(program, network, weights, image, latent, folder, *options):
    ours = encode(program, weights, image, folder, *options)
    assert_network(ours, vae.encode(network.model, image), f"encoder, {tuple(image.shape)}")
    ours = decode(program, weights, latent, folder, *options)
    assert_network(ours, vae.decode(network.model, latent), f"decoder, {tuple(latent.shape)}")


SIZES = [(1, 64, 64), (2, 40, 56), (1, 33, 47), (3, 8, 24), (1, 97, 130)]


@pytest.mark.parametrize("plan", ["tiny", "odd", "narrow"])
@pytest.mark.parametrize("batch, height, width", SIZES)
def test_sizes(program, network, tmp_path, plan, batch, height, width):
    image = vae.random_image(batch, height, width, height)
    latent = vae.random_latent(batch, height // 8, width // 7, width)
    at = network(plan)
    compare(program, at, at.folder / "hub", image, latent, tmp_path)


@pytest.mark.parametrize("plan", ["tiny", "odd", "narrow"])
def test_each_level(program, network, tmp_path, cpu, plan):
    at = network(plan)
    image, latent = vae.random_image(2, 48, 41, 1), vae.random_latent(2, 7, 9, 2)
    compare(program, at, at.folder / "hub", image, latent, tmp_path, "--cpu", cpu)


def test_published_plan(program, network, tmp_path, cpu):
    at = network("sd")
    image, latent = vae.random_image(1, 72, 64, 3), vae.random_latent(1, 9, 8, 4)
    compare(program, at, at.folder / "hub", image, latent, tmp_path, "--cpu", cpu)


BF16 = Path("/proc/cpuinfo").exists() and "avx512_bf16" in Path("/proc/cpuinfo").read_text()


@pytest.mark.skipif(not BF16, reason="the CPU has no products of bf16")
def test_bf16(program, network, tmp_path):
    """Of a size at which Winograd in bf16 was off by 0.027."""
    at, options = network("sd"), ("--precision", "bf16")
    weights = at.folder / "hub"
    image, latent = vae.random_image(1, 256, 256, 21), vae.random_latent(1, 32, 32, 22)
    for ours, wanted in (
        (encode(program, weights, image, tmp_path, *options), vae.encode(at.model, image)),
        (decode(program, weights, latent, tmp_path, *options), vae.decode(at.model, latent)),
    ):
        error = np.abs(ours - wanted).max() / np.abs(wanted).max()
        assert 1e-4 < error <= 2e-2, f"{error:.2e}"


def test_same_bits_for_any_threads(program, network, tmp_path, cpu):
    weights = network("narrow").folder / "hub"
    image, latent = vae.random_image(2, 72, 88, 5), vae.random_latent(2, 11, 9, 6)
    first = None
    for threads in (1, 2, 3):
        options = ("--cpu", cpu, "--threads", threads)
        ours = encode(program, weights, image, tmp_path, *options).tobytes()
        ours += decode(program, weights, latent, tmp_path, *options).tobytes()
        first = first or ours
        assert ours == first, f"{threads} threads"


def test_place_in_the_batch(program, network, tmp_path):
    weights = network("odd").folder / "hub"
    latent = vae.random_latent(3, 6, 5, 7)
    together = decode(program, weights, latent, tmp_path)
    for i in range(3):
        alone = decode(program, weights, latent[i : i + 1], tmp_path)
        assert alone.tobytes() == together[i : i + 1].tobytes()


# ---- memory -------------------------------------------------------------------------------------


def run_limited(program, model, weights, array, folder, *options, code=0):
    """The output and what `--json` tells, or the message of a failure."""
    port, result = {
        "vae-encoder": ("sample", "latent_parameters"),
        "vae-decoder": ("latent_sample", "sample"),
    }[model]
    np.save(folder / "in.npy", array.numpy())
    (folder / "out.npy").unlink(missing_ok=True)
    bindings = ["--input", f"{port}={folder}/in.npy", "--output", f"{result}={folder}/out.npy"]
    command = ["exec", model, "--weights", weights, *bindings, "--json", *options]
    done = program.run(*command, code=code)
    return done.stderr if code else (np.load(folder / "out.npy"), json.loads(done.stdout))


@pytest.mark.parametrize("batch, height, width", [(1, 27, 31), (2, 18, 21)])
def test_memory_limit(program, network, tmp_path, cpu, batch, height, width):
    """Bands give the bits of the whole, for any thread count, within the limit."""
    at = network("narrow")
    weights = at.folder / "hub"
    image = vae.random_image(batch, 8 * height - 5, 8 * width + 2, 20)
    latent = vae.random_latent(batch, height, width, 21)
    for model, array, reference in (
        ("vae-encoder", image, vae.encode(at.model, image)),
        ("vae-decoder", latent, vae.decode(at.model, latent)),
    ):
        args = (program, model, weights, array, tmp_path, "--cpu", cpu)
        whole, plain = run_limited(*args)
        for share in (0.85, 0.7):
            limit = plain["planned_bytes"] * share
            ours, told = run_limited(*args, "--mem-limit", limit / 1e6)
            assert 0 < told["planned_bytes"] <= limit
            assert_network(ours, reference)
            assert ours.tobytes() == whole.tobytes()
            one, _ = run_limited(*args, "--mem-limit", limit / 1e6, "--threads", 1)
            assert one.tobytes() == whole.tobytes()


def test_limit_that_cannot_be_kept(program, network, tmp_path):
    weights, latent = network("narrow").folder / "hub", vae.random_latent(1, 32, 32, 22)
    told = run_limited(
        program, "vae-decoder", weights, latent, tmp_path, "--mem-limit", 1, code=1
    )
    assert "the limit is 1000000" in told and len(told.splitlines()) == 1


@pytest.mark.parametrize("limit", [None, 800])
def test_activations_of_768_pixels(program, network, tmp_path, limit):
    """An eighth of the published widths takes an eighth of the memory, or a little more."""
    weights = network("narrow").folder / "hub"
    options = [] if limit is None else ["--mem-limit", limit / 8]
    image, latent = vae.random_image(1, 768, 768, 23), vae.random_latent(1, 96, 96, 24)
    for model, array in (("vae-encoder", image), ("vae-decoder", latent)):
        _, told = run_limited(program, model, weights, array, tmp_path, *options)
        assert told["planned_bytes"] * 8 < (1.5e9 if limit is None else limit * 1e6)


# ---- files -------------------------------------------------------------------------------------


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
    "old names": lambda state: lambda folder: checkpoints.save_zip(
        vae.with_old_names(state), folder / "diffusion_pytorch_model.bin"
    ),
}


@pytest.mark.parametrize("kind", FILES)
def test_folders(program, network, tmp_path, kind):
    at = network("narrow")
    folder = hub_folder(at, tmp_path / "w", FILES[kind](at.state))
    image, latent = vae.random_image(1, 32, 40, 8), vae.random_latent(1, 4, 5, 9)
    compare(program, at, folder, image, latent, tmp_path)


def test_half_precision_file(program, network, tmp_path):
    at = network("odd")
    state = checkpoints.cast(at.state, torch.float16)
    folder = hub_folder(at, tmp_path / "w", FILES["safetensors"](state))
    rounded = vae.random_vae(**vae.PLANS["odd"])
    rounded.load_state_dict(state)
    image, latent = vae.random_image(1, 30, 20, 10), vae.random_latent(1, 5, 4, 11)
    ours = encode(program, folder, image, tmp_path)
    assert_network(ours, vae.encode(rounded.float(), image))
    assert_network(decode(program, folder, latent, tmp_path), vae.decode(rounded, latent))


def original_file(kind, state, path):
    """An autoencoder alone or in a whole Stable Diffusion, as published before diffusers."""
    if kind == "alone":
        others = {"loss.logvar": torch.zeros(1), "model_ema.decay": torch.tensor(0.9999)}
        torch.save({"epoch": 1, "state_dict": {**vae.with_original_names(state), **others}}, path)
    elif kind == "safetensors":
        checkpoints.save_safetensors(vae.with_original_names(state, "first_stage_model."), path)
    else:
        others = {
            "betas": torch.zeros(5),
            "model.diffusion_model.input_blocks.0.0.weight": torch.ones(2, 2),
            "cond_stage_model.transformer.text_model.embeddings.position_ids": torch.arange(3),
        }
        whole = {**others, **vae.with_original_names(state, "first_stage_model.")}
        torch.save({"global_step": 5, "state_dict": whole}, path)
    return path


@pytest.mark.parametrize("kind", ["alone", "safetensors", "whole"])
@pytest.mark.parametrize("plan", ["odd", "narrow"])
def test_original_names(program, network, tmp_path, plan, kind):
    at = network(plan)
    name = "v.safetensors" if kind == "safetensors" else "sd.ckpt"
    path = original_file(kind, at.state, tmp_path / name)
    image, latent = vae.random_image(1, 24, 32, 25), vae.random_latent(1, 3, 4, 26)
    compare(program, at, path, image, latent, tmp_path, "--config", at.folder / "hub")


def test_original_names_without_a_config(program, tmp_path):
    """Fewer blocks and layers than published, told by the weights; with and without all parts."""
    model = vae.random_vae((32, 64, 96), 32, 1, mid_block_add_attention=False)
    state = vae.with_original_names(checkpoints.state_of(model))
    path = checkpoints.save_zip(state, tmp_path / "vae.pt")
    image, latent = vae.random_image(1, 24, 32, 14), vae.random_latent(1, 3, 4, 15)
    assert_network(encode(program, path, image, tmp_path), vae.encode(model, image))
    assert_network(decode(program, path, latent, tmp_path), vae.decode(model, latent))


def test_original_names_are_told(program, network, tmp_path):
    path = original_file("whole", network("sd").state, tmp_path / "sd.ckpt")
    info = json.loads(program.run("info", path, "--json").stdout)
    assert info["network"] == "vae-encoder" and info["also"] == ["vae-decoder"]
    state = vae.with_original_names(network("sd").state)
    state["decoder.up.3.block.9.norm1.weight"] = torch.ones(4)
    broken = checkpoints.save_zip(state, tmp_path / "more.pt")
    np.save(tmp_path / "i.npy", vae.random_latent(1, 2, 2).numpy())
    bindings = ["--input", f"latent_sample={tmp_path}/i.npy", "--output", f"sample={tmp_path}/o"]
    done = program.run("exec", "vae-decoder", "--weights", broken, *bindings, code=1)
    assert "1 unexpected: decoder.up.3.block.9.norm1.weight" in done.stderr


@pytest.mark.parametrize("plan", ["odd", "sd"])
def test_original_names_are_those_that_diffusers_converts(network, plan):
    at = network(plan)
    original = vae.with_original_names(at.state, "first_stage_model.")
    converted = convert_ldm_vae_checkpoint(original, at.model.config)
    assert converted.keys() == at.state.keys()
    assert all(torch.equal(converted[key], at.state[key]) for key in converted)


@pytest.mark.parametrize("source", ["config.json", "."])
def test_single_file_with_a_config(program, network, tmp_path, source):
    at = network("odd")
    path = checkpoints.save_zip(at.state, tmp_path / "vae.pth")
    config = at.folder / "hub" / source
    image, latent = vae.random_image(1, 24, 32, 12), vae.random_latent(1, 3, 4, 13)
    compare(program, at, path, image, latent, tmp_path, "--config", config)


def test_without_a_config(program, tmp_path):
    """32 groups are assumed; the rest is told by the weights."""
    model = vae.random_vae((32, 64), 32, 1)
    path = checkpoints.save_safetensors(checkpoints.state_of(model), tmp_path / "v.safetensors")
    image, latent = vae.random_image(1, 24, 32, 14), vae.random_latent(1, 3, 4, 15)
    assert_network(encode(program, path, image, tmp_path), vae.encode(model, image))
    assert_network(decode(program, path, latent, tmp_path), vae.decode(model, latent))


@pytest.mark.parametrize("prefix", ["vae.", "_forward_module.vae."])
def test_training_checkpoint(program, network, tmp_path, prefix):
    at = network("odd")
    torch.save(vae.lightning_checkpoint(at.state, prefix), tmp_path / "last.ckpt")
    image, latent = vae.random_image(1, 24, 32, 16), vae.random_latent(1, 3, 4, 17)
    config = at.folder / "hub"
    compare(program, at, tmp_path / "last.ckpt", image, latent, tmp_path, "--config", config)


@pytest.mark.parametrize(
    "settings",
    [
        {"use_quant_conv": False, "use_post_quant_conv": False},
        {"mid_block_add_attention": False},
    ],
    ids=["no quant", "no attention"],
)
def test_parts_left_out(program, network, tmp_path, settings):
    at = network("odd", **settings)
    image, latent = vae.random_image(1, 24, 32, 18), vae.random_latent(1, 3, 4, 19)
    compare(program, at, at.folder / "hub", image, latent, tmp_path)


# ---- what is refused ----------------------------------------------------------------------------


def refusal(program, weights, folder, *options):
    folder.mkdir(exist_ok=True)
    np.save(folder / "i.npy", vae.random_image(1, 16, 16).numpy())
    output = f"latent_parameters={folder}/o.npy"
    bindings = ["--input", f"sample={folder}/i.npy", "--output", output]
    done = program.run("exec", "vae-encoder", "--weights", weights, *bindings, *options, code=1)
    assert len(done.stderr.strip().splitlines()) == 1
    return done.stderr


@pytest.mark.parametrize(
    "change, words",
    [
        ({"_class_name": "VQModel"}, '_class_name "VQModel" is not supported'),
        ({"down_block_types": ["AttnDownBlock2D"] * 3}, "AttnDownBlock2D"),
        ({"act_fn": "mish"}, 'act_fn "mish"'),
        ({"norm_num_groups": 7}, "do not make 7 groups"),
        ({"norm_num_groups": -1}, "norm_num_groups is -1"),
        ({"block_out_channels": [6, 9]}, "unexpected"),
        ({"block_out_channels": [6, 9, 12]}, "wrong shape"),
        ({"layers_per_block": 10**9}, "layers_per_block"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_configs_that_do_not_fit(program, network, tmp_path, change, words):
    at = network("odd")
    config = json.loads((at.folder / "hub" / "config.json").read_text()) | change
    (tmp_path / "config.json").write_text(json.dumps(config))
    told = refusal(program, at.folder / "hub", tmp_path, "--config", tmp_path / "config.json")
    assert words in told


def test_config_for_a_network_that_needs_none(program, network, s3fd_network, tmp_path):
    np.save(tmp_path / "i.npy", np.zeros((1, 3, 64, 64), np.float32))
    done = program.run(
        *["exec", "s3fd", "--weights", s3fd_network(0.25).file("zip")],
        *["--config", network("odd").folder / "hub"],
        *["--input", f"image={tmp_path}/i.npy", "--output", f"cls1={tmp_path}/o.npy"],
        code=1,
    )
    assert "s3fd takes no config" in done.stderr


def test_info_names_both_halves(program, network):
    folder = network("narrow").folder / "hub"
    info = json.loads(program.run("info", folder, "--json").stdout)
    assert info["network"] == "vae-encoder" and info["also"] == ["vae-decoder"]
    assert "network: vae-encoder" in program.run("info", folder).stdout
    assert "; also vae-decoder\n" in program.run("info", folder).stdout


def test_unmerged_deepspeed_folder(program, tmp_path):
    folder = tmp_path / "last.ckpt"
    (folder / "checkpoint").mkdir(parents=True)
    (folder / "checkpoint" / "mp_rank_00_model_states.pt").write_bytes(b"x")
    assert "zero_to_fp32.py" in refusal(program, folder, tmp_path)


def test_reference_has_the_published_keys(key_tables, network):
    with open(key_tables / "vae_sd1.tsv", encoding="utf-8") as table:
        published = {row["key"]: row["shape"] for row in csv.DictReader(table, delimiter="\t")}
    state = network("sd").state
    assert {k: ",".join(map(str, v.shape)) for k, v in state.items()} == published

"""What the program says of weights files that hold more than a state_dict, and runs with them."""

import collections

import numpy as np
import pytest
import torch
from conftest import json_lines
from reference import lstm
from safetensors.torch import save_file

INPUTS = torch.linspace(0, 10, 2 * 7).reshape(2, 7, 1)


@pytest.fixture(scope="module")
def model():
    return lstm.random_classifier(3, hidden=8)


def info(program, path):
    return json_lines(program.run("info", path, "--json").stdout)[0]


def run(program, path, folder):
    return program.exec("lstm", path, {"seq_input": INPUTS}, ["my_output"], folder)[0]


def test_json(program, tmp_path, model):
    state = model.state_dict()
    value = {
        "state_dict": {**state, "again": state["fc.bias"], "odd": torch.ones(2, 3).to_sparse()},
        "epochs": [torch.ones(4), {7: torch.ones(5).to(torch.float8_e5m2)}],
    }
    torch.save(value, tmp_path / "w.pth")
    line = info(program, tmp_path / "w.pth")
    tensors = {t["name"]: t for t in line["tensors"]}
    assert set(tensors) == set(value["state_dict"])
    assert tensors["again"] == {
        "name": "again", "dtype": "f32", "shape": [3], "same_as": "fc.bias"
    }
    assert tensors["odd"] == {
        "name": "odd", "dtype": "sparse_coo:f32", "shape": [2, 3], "readable": False
    }
    assert line["beside"] == [
        {"name": "epochs.0", "dtype": "f32", "shape": [4]},
        {"name": "epochs.1.7", "dtype": "float8_e5m2", "shape": [5]},
    ]
    numbers = sum(t.numel() for t in state.values())
    assert line["numbers"] == numbers + 3 + 6 and line["bytes"] == 4 * (numbers + 3)
    text = program.run("info", tmp_path / "w.pth").stdout
    assert "\nf32   again (3), the same as fc.bias\n" in text
    assert "\nf32   epochs.0 (4), beside the weights\n" in text
    assert "\nbeside the weights: 2 tensors, 9 numbers, 0.0 MB\n" in text


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_whole_models_run(program, tmp_path, model, new):
    torch.save(model.state_dict(), tmp_path / "state.pth")
    wanted = run(program, tmp_path / "state.pth", tmp_path)
    for value in (model, {"model": model, "ema": None, "epoch": 3}, torch.nn.DataParallel(model)):
        torch.save(value, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
        assert info(program, tmp_path / "w.pth")["network"] == "lstm"
        assert np.array_equal(run(program, tmp_path / "w.pth", tmp_path), wanted)


def test_what_a_network_does_not_need_does_not_disturb_it(program, tmp_path, model):
    state = model.state_dict()
    torch.save(state, tmp_path / "state.pth")
    wanted = run(program, tmp_path / "state.pth", tmp_path)
    more = {
        "history": [torch.ones(3), torch.ones(2, dtype=torch.complex64)], 5: torch.ones(1),
        "mean": np.ones(3), "config": collections.Counter(a=1), "optimizer": {"state": {0: model}},
    }
    torch.save({**state, **more}, tmp_path / "w.pth")
    assert np.array_equal(run(program, tmp_path / "w.pth", tmp_path), wanted)
    assert {t["name"] for t in info(program, tmp_path / "w.pth")["tensors"]} > {"history.1", "5"}


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_eight_bit_floats_run_as_their_numbers(program, tmp_path, model, kind):
    state = model.state_dict()
    small = {k: v.to(torch.float8_e4m3fn) if v.dim() > 1 else v for k, v in state.items()}
    torch.save({k: v.to(torch.float32) for k, v in small.items()}, tmp_path / "wide.pth")
    path = tmp_path / f"w.{kind}"
    (torch.save if kind == "pth" else save_file)(small, path)
    assert info(program, path)["network"] == "lstm"
    wanted = run(program, tmp_path / "wide.pth", tmp_path)
    assert np.array_equal(run(program, path, tmp_path), wanted)


@pytest.mark.parametrize("odd, name", [
    (lambda t: t.to(torch.complex64), "complex64"),
    (lambda t: t.to_sparse(), "sparse_coo:f32"),
    (lambda t: t.to("meta"), "meta:f32"),
])
def test_what_it_needs_is_refused_in_one_sentence(program, tmp_path, model, odd, name):
    state = dict(model.state_dict())
    state["fc.weight"] = odd(state["fc.weight"])
    torch.save(state, tmp_path / "w.pth")
    assert {t["name"]: t["dtype"] for t in info(program, tmp_path / "w.pth")["tensors"]}[
        "fc.weight"] == name
    np.save(tmp_path / "x.npy", INPUTS.numpy())
    done = program.run("exec", "lstm", "--weights", tmp_path / "w.pth", "--input",
                       f"seq_input={tmp_path / 'x.npy'}", "--output",
                       f"my_output={tmp_path / 'y.npy'}", code=1)
    assert f"1 of types that are not supported: fc.weight is of type {name}\n" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "y.npy").exists()

"""`exec lstm` and `exec lstm-stream` against PyTorch: layers, directions, sizes, batches, state."""

import csv

import numpy as np
import pytest
import torch

from conftest import assert_network, json_lines
from reference import checkpoints, lstm

SIZES = {
    "article": {},
    "two-layers": {"hidden": 37, "layers": 2, "inputs": 4},
    "both-ways": {"hidden": 20, "both": True, "inputs": 3, "classes": 5},
    "deep-both-ways": {"hidden": 9, "layers": 3, "both": True, "inputs": 2},
    "no-bias": {"hidden": 16, "bias": False, "classes": 1},
    "one-unit": {"hidden": 1, "inputs": 7, "classes": 2},
    "large": {"hidden": 130, "layers": 2, "inputs": 33},
}


@pytest.fixture(params=SIZES, ids=list(SIZES))
def classifier(request, lstm_network):
    return lstm_network(**SIZES[request.param])


def run(program, network, x, folder, *options, kind="zip"):
    inputs = {"seq_input": x.numpy()}
    return program.exec("lstm", network.file(kind), inputs, ["my_output"], folder, *options)[0]


def inputs_of(network):
    return network.model.lstm.input_size


@pytest.mark.parametrize("batch, steps", [(1, 6), (5, 1), (64, 6), (13, 29)])
def test_each_level(program, classifier, tmp_path, cpu, batch, steps):
    x = lstm.random_inputs(batch, steps, inputs_of(classifier), batch + steps)
    got = run(program, classifier, x, tmp_path, "--cpu", cpu)
    assert_network(got, classifier(x)[0], f"{batch} of {steps} steps")


@pytest.mark.parametrize("kind", ["legacy", "safetensors", "training-zip"])
def test_formats(program, lstm_network, tmp_path, kind):
    network = lstm_network(**SIZES["two-layers"])
    x = lstm.random_inputs(3, 8, 4, 2)
    assert_network(run(program, network, x, tmp_path, kind=kind), network(x)[0])


def test_a_state_carried_on_is_the_whole_sequence(program, lstm_network, tmp_path, cpu):
    network = lstm_network(**SIZES["two-layers"])
    x = lstm.random_inputs(3, 12, 4, 3)
    state = {"h0": torch.zeros(3, 2, 37).numpy(), "c0": torch.zeros(3, 2, 37).numpy()}
    names = ["my_output", "hn", "cn"]
    for first, last in ((0, 5), (5, 6), (6, 12)):
        inputs = {"seq_input": x[:, first:last].numpy(), **state}
        path = network.file("zip")
        logits, h, c = program.exec("lstm-stream", path, inputs, names, tmp_path, "--cpu", cpu)
        state = {"h0": h, "c0": c}
        for name, got, expected in zip(names, (logits, h, c), network(x[:, :last])):
            assert_network(got, expected, f"{name} after {last} steps")
    whole = run(program, network, x, tmp_path, "--cpu", cpu)
    assert logits.tobytes() == whole.tobytes()


def test_a_state_that_both_directions_start_from(program, lstm_network, tmp_path):
    network = lstm_network(**SIZES["deep-both-ways"])
    x = lstm.random_inputs(4, 5, 2, 4)
    h, c = torch.randn(6, 4, 9), torch.randn(6, 4, 9)
    inputs = {"seq_input": x.numpy()}
    inputs |= {"h0": h.transpose(0, 1).numpy(), "c0": c.transpose(0, 1).numpy()}
    names = ["my_output", "hn", "cn"]
    got = program.exec("lstm-stream", network.file("zip"), inputs, names, tmp_path)
    for name, ours, expected in zip(names, got, network(x, (h, c))):
        assert_network(ours, expected, name)


def test_threads_batches_and_repeats(program, classifier, tmp_path, cpu):
    x = lstm.random_inputs(70, 4, inputs_of(classifier), 5)
    first = run(program, classifier, x, tmp_path, "--cpu", cpu, "--threads", 1)
    for threads in (1, 2, 3):
        again = run(program, classifier, x, tmp_path, "--cpu", cpu, "--threads", threads)
        assert first.tobytes() == again.tobytes(), f"{threads} threads"
    for i in (0, 33, 69):
        alone = run(program, classifier, x[i : i + 1], tmp_path, "--cpu", cpu)
        assert alone.tobytes() == first[i : i + 1].tobytes(), f"item {i}"


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda s: s.pop("lstm.bias_hh_l1"), ["1 missing", "lstm.bias_hh_l1"]),
        (lambda s: s.pop("lstm.weight_ih_l1"), ["unexpected", "lstm.weight_hh_l1"]),
        (lambda s: s.update({"lstm.weight_hr_l0": torch.zeros(3, 37)}), ["lstm.weight_hr_l0"]),
        (lambda s: s.update({"lstm.weight_hh_l0": torch.zeros(148, 36)}), ["(148,37)"]),
        (lambda s: s.update({"lstm.weight_ih_l0": torch.zeros(3, 4)}), ["(3,4)"]),
    ],
    ids=["bias", "layer", "projection", "hidden", "gates"],
)
def test_weights_that_do_not_fit(program, lstm_network, tmp_path, change, words):
    state = dict(lstm_network(**SIZES["two-layers"]).state)
    change(state)
    path = checkpoints.save_zip(state, tmp_path / "w.pth")
    np.save(tmp_path / "x.npy", np.zeros((1, 6, 4), np.float32))
    done = program.run("exec", "lstm", "--weights", path, "--input", f"seq_input={tmp_path}/x.npy",
                       "--output", f"my_output={tmp_path}/o.npy", code=1)  # fmt: skip
    assert all(word in done.stderr for word in words), done.stderr


def test_reference_has_the_published_keys(key_tables):
    with open(key_tables / "lstm.tsv", encoding="utf-8") as table:
        published = {row["key"]: row["shape"] for row in csv.DictReader(table, delimiter="\t")}
    state = lstm.Classifier().state_dict()
    assert {k: ",".join(map(str, v.shape)) for k, v in state.items()} == published


def test_list_info_and_bench(program, lstm_network):
    line = json_lines(program.run("list", "--json").stdout)[0]
    networks = {n["name"]: n for n in line["networks"]}
    assert networks["lstm"]["parameters"] == networks["lstm-stream"]["parameters"] == 10_753
    path = lstm_network(**SIZES["both-ways"]).file("zip")
    info = json_lines(program.run("info", path, "--json").stdout)[0]
    assert info["network"] == "lstm"
    bench = ["bench", "lstm", "--runs", 1, "--seconds", 0, "--json", "--shape", "seq_input=1x6x1"]
    assert json_lines(program.run(*bench).stdout)[0]["macs"] == 61_350

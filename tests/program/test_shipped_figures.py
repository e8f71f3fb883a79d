"""The cards in data/weights tell what is measured, and the weights together stay small."""

import re
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from conftest import NETWORK_TOLERANCE, ROOT

WEIGHTS = ROOT / "data" / "weights"
TRAINING = ROOT / "tools" / "training"
MOST_BYTES = 25_000_000


def test_together_no_larger_than_promised():
    sizes = {path.name: path.stat().st_size for path in WEIGHTS.iterdir()}
    assert sum(sizes.values()) <= MOST_BYTES, sizes


@pytest.mark.parametrize("name", ["lstm", "mobilenetv2"])
def test_card_tells_what_evaluate_prints(program, name):
    pytest.importorskip("sklearn")
    done = subprocess.run(
        [sys.executable, TRAINING / "evaluate", name, "--program", program.path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    card = (WEIGHTS / f"{name}.md").read_text()
    for line in done.stdout.splitlines():
        assert line in card, f"{name}.md does not say: {line}"


def test_lstm_is_the_same_in_both_files(program, tmp_path):
    x = np.random.default_rng(0).uniform(0, 10, (7, 6, 1)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(WEIGHTS / "lstm.onnx"))
    wanted = session.run(["my_output"], {"seq_input": x})[0]
    weights = WEIGHTS / "lstm.safetensors"
    ours = program.exec("lstm", weights, {"seq_input": x}, ["my_output"], tmp_path)[0]
    assert np.abs(ours - wanted).max() <= NETWORK_TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("number", [0, 1], ids=["colour", "gray"])
def test_ffdnet_scores_what_its_card_says(program, number, monkeypatch):
    monkeypatch.syspath_prepend(str(TRAINING))
    import evaluate_ffdnet

    kind, channels, folder, shipped, _ = evaluate_ffdnet.SETS[number]
    pairs = list(evaluate_ffdnet.noisy_pairs(folder, channels))
    if not pairs:
        pytest.skip("needs the shared photographs")
    card = (WEIGHTS / shipped).with_suffix(".md").read_text()
    told = re.search(rf"FFDNet {kind}: PSNR .*, dB: ([0-9.]+)", card)
    assert told, f"the card of {shipped} has no PSNR line"
    measured = evaluate_ffdnet.mean_psnr(
        evaluate_ffdnet.network(str(program.path), str(WEIGHTS / shipped)), pairs
    )
    assert f"{measured:.4g}" == told[1]

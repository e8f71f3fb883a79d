"""ONNX files of random graphs, read, written in some opset and run by ONNX Runtime: the numbers are
those of the file that they come from."""

import sys
import tempfile
from pathlib import Path

import onnx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "onnx"))

import onnx_written as written  # noqa: E402
import test_random_graphs as random_graphs  # noqa: E402

COUNT, CHUNK = 120, 30
ROUNDING = 1e-6  # beside what the operators themselves may be off by
# What ONNX Runtime 1.31 cannot run, though the onnx package defines it.
MISSING = ["conv_integer.cc", "Input cannot be split evenly"]


def opset_of(model, seed):
    (own,) = [entry.version for entry in model.opset_import if entry.domain == ""]
    return min(max(own, 13), 21) if seed % 4 else 17


def passes(path):
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except onnx.checker.ValidationError:
        return False
    return True


def check(program, folder, seed):
    """What is wrong with the graph of this seed; None: nothing. "": it is not written, or none."""
    made = random_graphs.make(seed)
    if made is None:
        return ""
    model, inputs, outputs = made
    try:
        want = random_graphs.builder.run_model(model, inputs, optimise=False)
    except random_graphs.builder.Reject:
        return ""
    source, out = folder / "in.onnx", folder / "out.onnx"
    onnx.save(model, source)
    try:
        written.write(program, source, out, f"opset={opset_of(model, seed)}")
    except AssertionError as refusal:
        return "" if "cannot hold" in str(refusal) else str(refusal)
    if passes(source) and not passes(out):
        return "the checker refuses it"
    try:
        got = written.run_onnxruntime(out, inputs, [v.name for v in outputs], optimise=False)
    except Exception as failure:
        return "" if any(text in str(failure) for text in MISSING) else str(failure)
    for v, ours, theirs in zip(outputs, got, want, strict=True):
        wrong = random_graphs.difference(ours, theirs, v.error + ROUNDING)
        other = random_graphs.second_opinion(model, inputs, v.name) if wrong else None
        if wrong and (
            other is None or random_graphs.difference(ours, other, v.error + ROUNDING)
        ):
            return f"{v.name}: {wrong}"
    return None


@pytest.mark.parametrize("first", range(1, COUNT + 1, CHUNK))
def test_random_graphs(program, first):
    count, failures = 0, []
    for seed in range(first, first + CHUNK):
        with tempfile.TemporaryDirectory() as temporary:
            wrong = check(program, Path(temporary), seed)
        count += wrong != ""
        if wrong:
            failures.append(f"seed {seed}: {wrong}")
    assert not failures, "\n".join(failures)
    assert count >= CHUNK / 2, f"only {count} graphs of {CHUNK} are written"

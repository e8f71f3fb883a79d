"""States that are written: loaded by coremltools as they were, and kept from run to run."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("coremltools")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "coreml"))

import coreml_run  # noqa: E402
from coreml_run import block_of, ct, load_program, mb, write  # noqa: E402
from test_states import INSIDE, SLOTS, Accumulator, Cache, convert, state_program  # noqa: E402

STEPS = 4


def accumulator():
    x = np.random.default_rng(0).standard_normal((STEPS, 2, 3)).astype(np.float32)
    return Accumulator(), {"x": x}, {"total": (2, 3), "product": (4,)}, ["y", "p"]


def cache():
    torch.manual_seed(0)
    arrays = {"x": torch.randn(STEPS, 1, 1, 8).numpy(),
              "place": np.arange(STEPS, dtype=np.int32)[:, None],
              "mask": np.triu(np.full((SLOTS, SLOTS), -1e4, np.float32), 1)[:STEPS, None]}
    shape = (1, 2, SLOTS, 4)
    return Cache().eval(), arrays, {"keys": shape, "values": shape}, ["y"]


def steps(program, path, arrays, outputs, folder):
    return coreml_run.run(program, path, arrays, outputs, folder, "--steps")


def touched(spec, kind):
    return sorted(op.inputs["input"].arguments[0].name for op in block_of(spec).operations
                  if op.type == kind)


def states(spec):
    return [(s.name, s.type.SerializeToString()) for s in spec.description.state], [
        (i.name, i.type.SerializeToString()) for i in spec.mlProgram.functions["main"].inputs
        if i.type.HasField("stateType")]


@pytest.mark.parametrize("make", [accumulator, cache])
def test_network_of_torch(program, tmp_path, make):
    net, arrays, kept, outputs = make()
    source = convert(tmp_path, net, {n: a[0] for n, a in arrays.items()}, kept, outputs)
    out = tmp_path / "out.mlpackage"
    done = program.run("convert", source, "-o", out)
    assert "ML Program for iOS 18" in done.stdout
    theirs, ours = ct.utils.load_spec(str(source)), load_program(out)
    assert states(ours) == states(theirs) and len(states(ours)[0]) == 2
    assert touched(ours, "read_state") == touched(ours, "write_state") == sorted(kept)
    want = steps(program, source, arrays, outputs, tmp_path)
    got = steps(program, out, arrays, outputs, tmp_path)
    for value, right in zip(got, want, strict=True):
        assert np.abs(value[-1] - value[0]).max() > 1e-3  # the steps differ
        np.testing.assert_array_equal(value, right)


def test_whole_program_in_halves(program, tmp_path):
    net, arrays, kept, outputs = accumulator()
    source = convert(tmp_path, net, {"x": arrays["x"][0]}, kept, outputs)
    out = tmp_path / "out.mlpackage"
    program.run("convert", source, "-o", out, "--fp16")
    casts = [op for op in block_of(load_program(out)).operations if op.type == "cast"]
    assert len(casts) == 3  # of x, y and p: states are halves as they are
    want = steps(program, source, arrays, outputs, tmp_path)
    for value, right in zip(steps(program, out, arrays, outputs, tmp_path), want, strict=True):
        assert np.abs(value - right).max() < 2e-3 * np.abs(right).max()


def test_weights_in_fewer_bits(program, tmp_path):
    net, arrays, kept, outputs = cache()
    source = convert(tmp_path, net, {n: a[0] for n, a in arrays.items()}, kept, outputs)
    done = program.run("convert", source, "-o", tmp_path / "out.mlpackage", "--quantize", "int8")
    assert "ML Program for iOS 18" in done.stdout


def only_read(x, s):
    return mb.add(x=x, y=mb.read_state(input=s), name="a"), mb.mul(x=x, y=x, name="b")


@pytest.mark.parametrize("build", [build for build, _ in INSIDE] + [only_read])
def test_states_inside(program, tmp_path, build):
    source, out = tmp_path / "s.mlpackage", tmp_path / "out.mlpackage"
    model = state_program(build)
    model.save(str(source))
    outputs = [o.name for o in model.get_spec().description.output]
    program.run("convert", source, "-o", out)
    load_program(out)
    x = np.random.default_rng(0).integers(-3, 4, (5, 2, 3)).astype(np.float32)
    want = steps(program, source, {"x": x}, outputs, tmp_path)
    got = steps(program, out, {"x": x}, outputs, tmp_path)
    for value, right in zip(got, want, strict=True):
        np.testing.assert_array_equal(value, right)


def test_files_without_states(program, tmp_path):
    net, arrays, kept, outputs = accumulator()
    source = convert(tmp_path, net, {"x": arrays["x"][0]}, kept, outputs)
    there = sorted(p.name for p in tmp_path.iterdir())
    for name, options in (("a.mlpackage", ["ios=17"]), ("a.mlmodel", []), ("a.onnx", [])):
        said = write(program, source, tmp_path / name, *options, code=1)
        assert "keeps total from run to run, which only packages for ios18 can" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == there
    said = write(program, source, tmp_path / "a.mlpackage", "port=total,as=sum", code=1)
    assert 'has no input and no output "total"' in said

"""The bits of every network's outputs are those that are recorded in output_bits.txt.

One line for each case and level: case, level, and for each output, in the case's order, the first
16 digits of the SHA-256 of its shape and bytes. bf16 stands twice, with AMX and without. A change
that must not change results shows it here; one that may, is told by the diff of the list. To make
it anew:

    python tests/engine/test_output_bits.py --update [PROGRAM]

which leaves the lines of levels that this machine lacks as they are.
"""

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import conftest  # noqa: E402
from engine import bits_cases  # noqa: E402
from reference import seeded  # noqa: E402

LIST = Path(__file__).with_name("output_bits.txt")
CASES = {case.name: case for case in bits_cases.all_cases()}
LEVELS = ("portable", "avx2", "avx512", "bf16-amx", "bf16-avx512")


def missing_level(level):
    """Why this machine cannot compute the level; None where it can."""
    if not level.startswith("bf16"):
        return None if level in conftest.available_levels() else f"the CPU has no {level}"
    flags = conftest.cpu_flags()
    if "avx512" not in conftest.available_levels() or "avx512_bf16" not in flags:
        return "the CPU has no AVX512-BF16"
    if level == "bf16-amx":
        return None if {"amx_tile", "amx_bf16"} <= flags else "the CPU has no AMX"
    return None


def options_of(level):
    if level.startswith("bf16"):
        mask = "" if level == "bf16-amx" else "amx-bf16,slow-avx512-bf16"
        return ["--cpu", "avx512", "--precision", "bf16"], {"RML_CPU_MASK": mask}
    return ["--cpu", level], {}


def digest(array):
    data = f"{array.dtype.str} {array.shape} ".encode() + np.ascontiguousarray(array).tobytes()
    return hashlib.sha256(data).hexdigest()[:16]


class Weights:
    """Files of weights, each made once."""

    def __init__(self, folder, maker):
        self.folder, self.maker = Path(folder), maker

    def file(self, case):
        kind, *rest = case.weights
        network = rest[0] if kind == "config-of" else case.network
        known = f"{network}-{kind}-{hashlib.sha256(repr(rest).encode()).hexdigest()[:12]}"
        path = self.folder / known / "w.safetensors"
        if path.exists():
            return path
        path.parent.mkdir()
        part = path.with_name("part.safetensors")
        if kind == "narrow":
            whole = bits_cases.Case("", case.network, {}, [], ("full",))
            seeded.narrow_weights(self.file(whole), part, rest[0])
        elif kind == "author":
            bits_cases.author_ffdnet(rest[0], part)
        else:
            config = rest[-1] if kind.startswith("config") else None
            seeded.full_weights(self.maker, network, part, config)
            if config:
                part.with_suffix(".json").rename(path.with_name("config.json"))
        part.rename(path)
        return path


def outputs(program, weights, case, level, folder):
    """Output name -> array."""
    if case.graph is not None:
        target = [folder / "graph.onnx"]
        onnx.save(case.graph, target[0])
    else:
        target = [case.network, "--weights", weights.file(case)]
    arguments = ["exec", *target, "--threads", 1, "--quiet", *case.options]
    for i, (name, array) in enumerate(case.inputs.items()):
        np.save(folder / f"in{i}.npy", array)
        arguments += ["--input", f"{name}={folder / f'in{i}.npy'}"]
    for i, name in enumerate(case.outputs):
        (folder / f"out{i}.npy").unlink(missing_ok=True)
        arguments += ["--output", f"{name}={folder / f'out{i}.npy'}"]
    options, env = options_of(level)
    program.run(*arguments, *options, env=env or None)
    return {name: np.load(folder / f"out{i}.npy") for i, name in enumerate(case.outputs)}


def read_list():
    lines = (line.split() for line in LIST.read_text().splitlines() if line[:1] not in ("#", ""))
    return {(case, level): bits for case, level, *bits in lines}


@pytest.fixture(scope="module")
def recorded():
    return read_list()


@pytest.fixture(scope="module")
def weights(program, tmp_path_factory):
    return Weights(tmp_path_factory.mktemp("bits"), program.path.with_name("rml-random-weights"))


@pytest.mark.parametrize("level", [level for level in LEVELS if not missing_level(level)])
@pytest.mark.parametrize("name", CASES)
def test_output_bits(program, weights, recorded, tmp_path, name, level):
    ours = outputs(program, weights, CASES[name], level, tmp_path)
    assert (name, level) in recorded
    wanted = dict(zip(ours, recorded[name, level], strict=True))
    other = {k: x.ravel()[:4].tolist() for k, x in ours.items() if digest(x) != wanted[k]}
    assert not other, f"other bits than recorded; these begin with: {other}"


@pytest.mark.parametrize("level", LEVELS)
def test_levels_of_this_machine(level):
    if missing_level(level):
        pytest.skip(f"the bits of {level} are not checked: {missing_level(level)}")


def test_list_is_of_these_cases(recorded):
    assert {case for case, _ in recorded} == set(CASES)


# ---- making the list ----------------------------------------------------------------------------


def check_says_something(case, arrays):
    """Outputs that vanish, explode or are all alike would hide a change."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and array.size > 1:
            spread = float(array.astype(np.float64).std())
            assert np.isfinite(array).all() and 1e-6 < spread < 1e6, (case.name, name, spread)


def update(program, folder):
    known = read_list() if LIST.exists() else {}
    weights = Weights(folder, program.path.with_name("rml-random-weights"))
    levels = [level for level in LEVELS if not missing_level(level)]
    known = {k: v for k, v in known.items() if k[0] in CASES and k[1] not in levels}
    for case in CASES.values():
        for level in levels:
            arrays = outputs(program, weights, case, level, folder)
            check_says_something(case, arrays)
            known[case.name, level] = [digest(array) for array in arrays.values()]
    rows = [" ".join([*key, *bits]) + "\n" for key, bits in sorted(known.items())]
    LIST.write_text("# Made by test_output_bits.py --update; see there.\n" + "".join(rows))
    print(f"{len(rows)} lines of {len(CASES)} cases; made here: {', '.join(levels)}")


if __name__ == "__main__":
    if sys.argv[1:2] != ["--update"] or len(sys.argv) > 3:
        sys.exit(__doc__)
    if len(sys.argv) == 3:
        os.environ["RUN_MODEL"] = sys.argv[2]
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        update(conftest.Program(conftest.find_program().resolve()), Path(temporary))

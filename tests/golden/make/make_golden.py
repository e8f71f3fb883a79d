"""Golden vectors of every operator, made with PyTorch: tests/golden/ops/GROUP.index and .f32.

Inputs are not stored: both sides make them from a seed. The index says, a case at a time,

    case NAME OPERATOR key=v,v ...
    in KIND SEED MODE RANK DIMS...          KIND: input, const or none; MODE: see `values`
    out OFFSET ABSOLUTE RELATIVE RANK DIMS...

and the other file holds the expected elements, little-endian float32, from OFFSET on. A result is
right when it lies within ABSOLUTE + RELATIVE * |expected|; golden_cases.py derives both from the
number of roundings.

    python3 tests/golden/make/make_golden.py [FOLDER]
"""

import sys
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

import golden_cases
import golden_list

U = 2.0**-24  # unit roundoff of float32


def uniform(seed, count):
    """splitmix64 of seed: 24 bits an element, in [-1, 1), every value exact in float32."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return ((z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1.0).astype(np.float32)


def values(seed, mode, shape):
    """Modes: u uniform in [-1,1), s in [-8,8), w in [-64,64), p in [0.25,1.25), d like p with
    signs, n with NaN, i with infinities and NaN, m with -infinity in parts of rows and a whole row
    of 5."""
    count = int(np.prod(shape, dtype=np.int64))
    x = uniform(seed, count)
    at = np.arange(count)
    if mode == "s":
        x *= 8
    elif mode == "w":
        x *= 64
    elif mode == "p":
        x = np.abs(x) + np.float32(0.25)
    elif mode == "d":
        x = np.where(x < 0, x - np.float32(0.25), x + np.float32(0.25))
    elif mode == "n":
        x[at % 5 == 3] = np.nan
    elif mode == "m":
        x[(at % 3 == 1) | (at // 5 == 1)] = -np.inf
    elif mode == "i":
        x[at % 7 == 2] = np.inf
        x[at % 7 == 4] = -np.inf
        x[at % 11 == 6] = np.nan
    elif mode != "u":
        raise ValueError(mode)
    return torch.from_numpy(x.reshape(shape))


@dataclass
class Case:
    name: str
    op: str
    attrs: dict
    inputs: list  # (kind, mode, shape), or None for an absent optional input
    expected: np.ndarray = None
    absolute: float = 0.0
    relative: float = 0.0
    tensors: list = field(default_factory=list)

    def seed(self, index):
        return zlib.crc32(f"{self.name}/{index}".encode())


def fill(case):
    """Computes what is expected, in double where the operator is defined by real arithmetic."""
    for index, given in enumerate(case.inputs):
        case.tensors.append(None if given is None else values(case.seed(index), *given[1:]))
    result, absolute, relative = golden_cases.REFERENCE[case.op](case.attrs, case.tensors)
    case.expected = result.to(torch.float32).contiguous().numpy()
    # the stored value is itself rounded once
    case.absolute, case.relative = float(absolute), float(relative) + (
        U if absolute or relative else 0
    )
    return case


def attr_text(value):
    if isinstance(value, (list, tuple)):
        return ",".join(attr_text(v) for v in value)
    if isinstance(value, bool):
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)


def index_text(case, offset):
    words = [f"{key}={attr_text(value)}" for key, value in case.attrs.items()]
    lines = [" ".join(["case", case.name, case.op, *words])]
    for index, given in enumerate(case.inputs):
        if given is None:
            lines.append("in none 0 u 0")
        else:
            kind, mode, shape = given
            lines.append(
                " ".join(map(str, ["in", kind, case.seed(index), mode, len(shape), *shape]))
            )
    shape = case.expected.shape
    lines.append(
        " ".join(
            map(
                str,
                ["out", offset, f"{case.absolute:.6e}", f"{case.relative:.6e}", len(shape), *shape],
            )
        )
    )
    return "\n".join(lines)


def write_group(folder, group):
    """Writes one group's files, cases in a fixed order; returns how many elements are stored."""
    cases = [fill(Case(*spec)) for spec in golden_list.GROUPS[group]()]
    assert len({case.name for case in cases}) == len(cases)
    offset, lines, blocks = 0, [], []
    for case in cases:
        lines.append(index_text(case, offset))
        blocks.append(case.expected.astype("<f4").tobytes())
        offset += case.expected.size
    (Path(folder) / f"{group}.index").write_text("\n".join(lines) + "\n")
    (Path(folder) / f"{group}.f32").write_bytes(b"".join(blocks))
    return offset


if __name__ == "__main__":
    stored = Path(__file__).resolve().parents[1] / "ops"
    target = sys.argv[1] if len(sys.argv) > 1 else stored
    for name in golden_list.GROUPS:
        print(f"{name}: {write_group(target, name) * 4} bytes")

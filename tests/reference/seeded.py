"""Numbers and weights files that are the same for ever: no generator of a library is asked.

What is recorded of a network's outputs must not change because PyTorch or NumPy draw otherwise.
"""

import json
import math
import subprocess

import numpy as np


def words(seed, count):
    """splitmix64: `count` numbers of 64 bits."""
    with np.errstate(over="ignore"):
        step = np.uint64(0x9E3779B97F4A7C15)
        x = np.uint64(seed) * np.uint64(0xD1342543DE82EF95)
        x = x + step * np.arange(1, count + 1, dtype=np.uint64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def uniform(shape, seed, low=-1.0, high=1.0):
    """f32 in [low, high); exact arithmetic until the last rounding."""
    unit = (words(seed, math.prod(shape)) >> np.uint64(40)).astype(np.float64) / (1 << 24)
    return (low + (high - low) * unit).astype(np.float32).reshape(shape)


def integers(shape, seed, low, high, dtype=np.int64):
    """low <= n < high."""
    drawn = words(seed, math.prod(shape)) >> np.uint64(16)
    return (low + (drawn % np.uint64(high - low)).astype(np.int64)).astype(dtype).reshape(shape)


# ---- weights files ------------------------------------------------------------------------------


def full_weights(maker, network, path, config=None):
    """Random weights at the published size, or at the config's, by the program `maker`."""
    command = [maker, network, path, "1"]
    if config is not None:
        path.with_suffix(".json").write_text(json.dumps(config))
        command.append(path.with_suffix(".json"))
    subprocess.run([str(c) for c in command], check=True, capture_output=True, timeout=120)


def read_header(path):
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        return json.loads(file.read(size)), 8 + size


def save(tensors, path):
    """A safetensors file of f32 arrays."""
    header, at = {}, 0
    for name, array in tensors.items():
        offsets = [at, at + array.nbytes]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            file.write(array.astype("<f4").tobytes())


def narrow_weights(full, path, sixteenths):
    """The network of the file `full` with every width from 16 on times sixteenths/16, which leaves
    sums and splits of widths what they were; filled by He's rule, its norms disturbed."""
    header, _ = read_header(full)
    tensors = {}
    for index, (name, entry) in enumerate(sorted(header.items())):
        if name == "__metadata__":
            continue
        shape = entry["shape"]
        shape = [-(-n * sixteenths // 16) if n >= 16 else n for n in shape[:2]] + shape[2:]
        if len(shape) == 1:
            centre = 1.0 if "var" in name or "weight" in name else 0.0
            tensors[name] = uniform(shape, 7919 + index, centre - 0.25, centre + 0.25)
        else:
            bound = math.sqrt(3.0 / math.prod(shape[1:]))
            tensors[name] = uniform(shape, 7919 + index, -bound, bound)
    save(tensors, path)

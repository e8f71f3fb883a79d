"""Writes state dicts in the formats people have."""

import json
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file


def save_zip(state, path):
    torch.save(OrderedDict(state), path)
    return Path(path)


def save_legacy(state, path):
    """The stream that PyTorch wrote before 1.6."""
    torch.save(OrderedDict(state), path, _use_new_zipfile_serialization=False)
    return Path(path)


def save_safetensors(state, path, metadata=None):
    save_file({k: v.contiguous() for k, v in state.items()}, path, metadata)
    return Path(path)


def save_sharded(state, folder, shards=3, stem="model"):
    """A folder with an index and shards; tensors are dealt round, so that neighbours part."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = [{} for _ in range(shards)]
    weight_map = {}
    for i, (key, value) in enumerate(state.items()):
        name = f"{stem}-{i % shards + 1:05d}-of-{shards:05d}.safetensors"
        parts[i % shards][key] = value.contiguous()
        weight_map[key] = name
    for i, part in enumerate(parts):
        save_file(part, folder / f"{stem}-{i + 1:05d}-of-{shards:05d}.safetensors")
    total = sum(v.numel() * v.element_size() for v in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    path = folder / f"{stem}.safetensors.index.json"
    path.write_text(json.dumps(index, indent=2))
    return path


def training_checkpoint(state, prefix="module."):
    """What a training script saves: prefixed keys beside an optimizer that must be skipped."""
    moments = {
        i: {
            "step": 3,
            "exp_avg": torch.full_like(value, 0.5, dtype=torch.float32),
            "exp_avg_sq": torch.full_like(value, 0.25, dtype=torch.float32),
        }
        for i, value in enumerate(state.values())
        if value.dtype.is_floating_point
    }
    groups = [{"lr": 1e-4, "betas": (0.5, 0.999), "eps": 1e-8, "params": list(moments)}]
    return {
        "state_dict": OrderedDict((prefix + k, v) for k, v in state.items()),
        "optimizer": {"state": moments, "param_groups": groups},
        "global_step": 1234,
        "global_epoch": 7,
    }


def save_training_zip(state, path, prefix="module."):
    torch.save(training_checkpoint(state, prefix), path)
    return Path(path)


def save_training_legacy(state, path, prefix="module."):
    torch.save(
        training_checkpoint(state, prefix), path, _use_new_zipfile_serialization=False
    )
    return Path(path)


def cast(state, dtype):
    """Every floating tensor in another precision; counters stay as they are."""
    return OrderedDict(
        (k, v.to(dtype) if v.dtype.is_floating_point else v) for k, v in state.items()
    )


def shared_storage(state):
    """The same values as views of one storage, every other matrix-like tensor transposed in it."""
    floats = [(k, v) for k, v in state.items() if v.dtype == torch.float32]
    storage = torch.empty(sum(v.numel() for _, v in floats) + 7)
    out, offset = OrderedDict(state), 7
    for i, (key, value) in enumerate(floats):
        flat = storage[offset : offset + value.numel()]
        offset += value.numel()
        if i % 2 == 0 and value.dim() >= 2:
            view = flat.view(value.shape[1], value.shape[0], *value.shape[2:]).transpose(0, 1)
        else:
            view = flat.view(value.shape)
        view.copy_(value)
        out[key] = view
    return out


def state_of(model):
    return OrderedDict((k, v.detach().clone()) for k, v in model.state_dict().items())

"""Weights files made by PyTorch and safetensors, read through the shared library, bit for bit."""

import argparse
import collections
import json
import os
import pickle
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from weights_library import (
    DTYPES, FORMAT, IO, UNSUPPORTED, Refused, Weights, check, load_library, refuse
)


@pytest.fixture(scope="module")
def library():
    return load_library()


def numbers(dtype, *shape):
    """Random values with the special ones of the type among them."""
    generator = torch.Generator().manual_seed(sum(shape) + 1)
    if dtype == torch.bool:
        return torch.rand(shape, generator=generator) > 0.5
    if not dtype.is_floating_point:
        info = torch.iinfo(dtype)
        whole = torch.iinfo(torch.int64)  # uint64's largest number is more than randint takes
        low, high = max(info.min, whole.min), min(info.max, whole.max)
        values = torch.randint(low, high, shape, generator=generator, dtype=torch.int64)
        values = values.to(dtype)
        special = np.array([info.min, info.max, 0, 1], str(dtype).removeprefix("torch."))
    else:
        values = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
        info = torch.finfo(dtype)
        special = [0.0, -0.0, info.max, info.tiny, info.tiny / 4, float("inf"), float("nan")]
    flat = values.reshape(-1)
    flat[: len(special)] = torch.as_tensor(special, dtype=dtype)[: flat.numel()]
    return values


def zoo(dtype):
    """Tensors of every layout a state_dict may hold."""
    base = numbers(dtype, 6, 8)
    return {
        "plain": base.clone(),
        "transposed": numbers(dtype, 3, 5).t(),
        "whole": base,
        "row": base[2],
        "column": base[:, 3],
        "block": base[1:4, 2:7],
        "steps": base[::2, 1::3],
        "permuted": numbers(dtype, 2, 3, 4, 5).permute(2, 0, 3, 1),
        "channels_last": numbers(dtype, 2, 4, 3, 5).to(memory_format=torch.channels_last),
        "expanded": numbers(dtype, 1, 4).expand(3, 4),
        "scalar": numbers(dtype, 9)[4],
        "empty": torch.empty(0, 3, dtype=dtype),
        "empty_last": torch.empty(3, 0, dtype=dtype),
        "one": numbers(dtype, 1, 1, 1),
        "deep": numbers(dtype, 1, 2, 1, 2, 1, 2, 1, 2),
    }


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_layouts(library, tmp_path, dtype, new):
    path = tmp_path / "w.bin"
    torch.save(zoo(dtype), path, _use_new_zipfile_serialization=new)
    check(library, path, zoo(dtype), "pytorch zip" if new else "pytorch legacy")


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
def test_safetensors(library, tmp_path, dtype):
    path = tmp_path / "w.bin"
    tensors = {name: tensor.clone().contiguous() for name, tensor in zoo(dtype).items()}
    tensors['naïve "quoted" \\ / 名'] = torch.ones(1)
    save_file(tensors, path, metadata={"format": "pt", "note": "a \"b\" \u20ac"})
    check(library, path, tensors, "safetensors")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_protocols(library, tmp_path, protocol, new):
    path = tmp_path / "w.pth"
    state = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.LSTM(4, 5, 2)).state_dict()
    many = {f"t{i}": torch.tensor(float(i)) for i in range(300)}  # memo indices above 255
    state.update(many)
    torch.save(state, path, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    check(library, path, state)


class Opaque:
    """Unknown to the reader."""

    def __init__(self):
        self.tensor, self.other = torch.ones(2), {"a": [1, 2]}


class AttributeDict(dict):
    pass


class Names(list):
    pass


Point = collections.namedtuple("Point", "x y")


def bystanders():
    """What lies beside the weights in checkpoints, none of which may be run or may disturb."""
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, amsgrad=True)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
    attributes = AttributeDict(a=1, b={"c": torch.ones(1)})
    attributes.extra = "x"
    names = Names(["a", "b"])
    names.extra = names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantized = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    recursive = [1]
    recursive.append(recursive)
    loop = ([],)
    loop[0].append(loop)
    return {
        "epoch": 7,
        "global_step": 2**40,
        "huge": 2**100,
        "negative": -(2**70),
        "loss": 0.25,
        "nothing": None,
        "flags": (True, False),
        "optimizer": optimizer.state_dict(),
        "optimizer_object": optimizer,
        "lr_schedulers": [scheduler.state_dict()],
        "args": argparse.Namespace(lr=0.1, name="x", ids=[1]),
        "hyper_parameters": attributes,
        "names": names,
        "classes": {"adam": torch.optim.Adam, "function": len, "method": "x".join},
        "best": np.float64(0.5),
        "count": np.int64(3),
        "array": np.arange(6).reshape(2, 3),
        "random": {"numpy": np.random.RandomState(0).get_state(), "torch": torch.get_rng_state()},
        "size": torch.Size([1, 2]),
        "device": torch.device("cuda:1"),
        "dtype": torch.bfloat16,
        "layout": torch.strided,
        "default": collections.defaultdict(list, a=[1]),
        "counter": collections.Counter("abca"),
        "queue": collections.deque([1, 2], maxlen=3),
        "set": {1, "a"},
        "frozen": frozenset([1]),
        "bytes": b"abc" * 200,
        "bytearray": bytearray(b"abc"),
        "complex": 1 + 2j,
        "range": range(3),
        "path": Path("a/b"),
        "point": Point(1, [2]),
        "opaque": Opaque(),
        "recursive": recursive,
        "loop": loop,
        "time": __import__("datetime").datetime(2024, 1, 2),
        "odd tensors": [torch.eye(2).to_sparse(), quantized, torch.ones(2, dtype=torch.complex64)],
    }


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_bystanders(library, tmp_path, new, protocol):
    path = tmp_path / "w.ckpt"
    state = nn.Linear(3, 2).state_dict()
    checkpoint = {**bystanders(), "state_dict": state}
    torch.save(checkpoint, path, pickle_protocol=protocol, _use_new_zipfile_serialization=new)
    check(library, path, state)


def test_code_is_never_run(library, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    torch.save({"state_dict": {"a": torch.ones(2)}, "hook": Bomb()}, tmp_path / "w.pth")
    check(library, tmp_path / "w.pth", {"a": torch.ones(2)})
    torch.save(Bomb(), tmp_path / "only.pth")
    path = tmp_path / "only.pth"
    refuse(library, path, FORMAT, "holds an object of posix.mkdir, not a state_dict")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s, "epoch": 1},
        lambda s: {"model_state_dict": s, "optimizer_state_dict": {"state": {0: torch.ones(1)}}},
        lambda s: {"model": s, "ema": {"a": torch.zeros(1)}},
        lambda s: {"params": {"a": torch.zeros(1)}, "params_ema": s},
        lambda s: {"params": s},
        lambda s: {"model": {"state_dict": s}, "best_acc1": torch.tensor(1.0)},
        lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}, "best": torch.ones(1)},
        lambda s: {"module": dict(s)},
        lambda s: dict(s, epoch=3, name="x", nothing=None),
        lambda s: dict(s, optimizer={"state": {"a": torch.ones(1)}}),
    ],
)
def test_containers(library, tmp_path, wrap):
    state = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).state_dict()
    torch.save(wrap(state), tmp_path / "w.pth")
    check(library, tmp_path / "w.pth", state)


def test_nested(library, tmp_path):
    state = {"encoder": {"a": torch.ones(2), "b": {"c": torch.zeros(3)}}, "d": torch.ones(1)}
    torch.save(state, tmp_path / "w.pth")
    expected = {"encoder.a": torch.ones(2), "encoder.b.c": torch.zeros(3), "d": torch.ones(1)}
    check(library, tmp_path / "w.pth", expected)


def test_names_that_clash_or_hide(library, tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"a": {"b": torch.ones(1)}, "a.b": torch.ones(2)}, path)
    refuse(library, path, FORMAT, 'two tensors are named "a.b"')
    both = {"module.a": torch.ones(1), "a": torch.ones(2), "module.b": torch.ones(3)}
    torch.save(both, path)
    check(library, path, both)
    for name in ("a\x1b[2Jb", "a\0b", "a\nb", "a\x9bb", "\udc80"):
        torch.save({name: torch.ones(1)}, path)
        refuse(library, path, FORMAT, "is not plain UTF-8 text")


def test_data_parallel(library, tmp_path):
    model = nn.Sequential(nn.Linear(3, 2), nn.DataParallel(nn.Linear(2, 2)))
    torch.save(nn.DataParallel(model).state_dict(), tmp_path / "w.pth")
    # upstream takes every occurrence out, also the inner wrapper's
    expected = {k.replace("module.", ""): v for k, v in model.state_dict().items()}
    check(library, tmp_path / "w.pth", expected)


def test_lightning(library, tmp_path):
    state = {f"net.{k}": v for k, v in nn.Linear(3, 2).state_dict().items()}
    checkpoint = {
        "epoch": 3,
        "global_step": 1000,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": collections.OrderedDict(state),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 1}}}},
        "callbacks": {"ModelCheckpoint{'mode': 'min'}": {"best_model_score": torch.tensor(0.5)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{}]}],
        "hparams_name": "kwargs",
        "hyper_parameters": AttributeDict(lr=1e-3),
    }
    torch.save(checkpoint, tmp_path / "w.ckpt")
    check(library, tmp_path / "w.ckpt", state)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "legacy"])
def test_parameters_and_sharing(library, tmp_path, new):
    base = torch.arange(24.0)
    tied = nn.Parameter(torch.randn(4, 3))
    noted = nn.Parameter(torch.randn(2))
    noted.note = "attributes make PyTorch write another function"
    state = {
        "first": base[:12].view(3, 4),
        "second": base[6:18].view(4, 3).t(),
        "tied.a": tied,
        "tied.b": tied,
        "noted": noted,
        "buffer": nn.Buffer(torch.ones(2)),
        "untracked": tied.data[1],
    }
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    check(library, tmp_path / "w.pth", state)


def write_index(folder, name, shards):
    names = {tensor: file for file, tensors in shards.items() for tensor in tensors}
    index = {"metadata": {"total_size": 1}, "weight_map": names}
    (folder / name).write_text(json.dumps(index, indent=2))


def test_hub_folders(library, tmp_path):
    state = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2)).state_dict()
    names = sorted(state)
    halves = [{n: state[n] for n in names[:2]}, {n: state[n] for n in names[2:]}]
    for stem in ("model", "diffusion_pytorch_model"):
        folder = tmp_path / stem
        folder.mkdir()
        shards = {f"{stem}-0000{i + 1}-of-00002.safetensors": half for i, half in enumerate(halves)}
        for file, half in shards.items():
            save_file(half, folder / file)
        write_index(folder, f"{stem}.safetensors.index.json", shards)
        check(library, folder, state, "safetensors shards")
        check(library, folder / f"{stem}.safetensors.index.json", state)
        check(library, folder / next(iter(shards)), halves[0], "safetensors")
        save_file(state, folder / f"{stem}.safetensors")
        check(library, str(folder) + "/", state, "safetensors")
    folder = tmp_path / "bin"
    folder.mkdir()
    shards = {f"pytorch_model-0000{i + 1}-of-00002.bin": half for i, half in enumerate(halves)}
    for file, half in shards.items():
        torch.save(half, folder / file)
    write_index(folder, "pytorch_model.bin.index.json", shards)
    check(library, folder, state, "pytorch shards")
    (folder / "pytorch_model-00002-of-00002.bin").unlink()
    with pytest.raises(Refused, match="00002-of-00002.bin: shard 2 of 2 is missing"):
        Weights(library, folder)
    refuse(library, tmp_path, IO, "looked for model.safetensors")


def test_numpy_archives(library, tmp_path):
    arrays = {
        "layer.weight": np.arange(6, dtype=np.float64).reshape(2, 3),
        "turned": np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)),
        "none": np.zeros((0, 3), np.float32),
        "one": np.float16(1.5),
    }
    np.savez(tmp_path / "w.npz", **arrays)
    expected = {k: torch.from_numpy(np.ascontiguousarray(v).copy()) for k, v in arrays.items()}
    expected["one"] = torch.tensor(1.5, dtype=torch.float16)
    check(library, tmp_path / "w.npz", expected, "numpy archive")
    np.savez(tmp_path / "b.npz", a=np.arange(3, dtype=">f4"))
    check(library, tmp_path / "b.npz", {"a": torch.arange(3.0)}, "numpy archive")
    whole = (tmp_path / "w.npz").read_bytes()
    for cut in range(0, len(whole), 7):
        (tmp_path / "cut.npz").write_bytes(whole[:cut])
        with pytest.raises(Refused):
            Weights(library, tmp_path / "cut.npz").__enter__()


def test_other_files_get_their_sentence(library, tmp_path):
    path = tmp_path / "w.pth"
    for new in (True, False):
        torch.save([1, 2], path, _use_new_zipfile_serialization=new)
        refuse(library, path, FORMAT, "holds a list, not a state_dict")
        torch.save({1: 2, (3, "x"): 4}, path, _use_new_zipfile_serialization=new)
        refuse(library, path, FORMAT, 'holds no tensors; its entries are "1", "(3,x)"')
        torch.save({"epoch": 1, "arch": "x"}, path, _use_new_zipfile_serialization=new)
        refuse(library, path, FORMAT, 'holds no tensors; its entries are "epoch", "arch"')
    for protocol in range(2, 6):
        path.write_bytes(pickle.dumps({"a": np.ones(3)}, protocol=protocol))
        refuse(library, path, FORMAT, "plain Python pickle")
    np.save(tmp_path / "w", np.ones(2))
    refuse(library, tmp_path / "w.npy", UNSUPPORTED, "NumPy array")
    state = tmp_path / "state.pth"
    torch.save({"a": torch.ones(4)}, state)
    with zipfile.ZipFile(state) as source, zipfile.ZipFile(
        path, "w", zipfile.ZIP_DEFLATED
    ) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    refuse(library, path, UNSUPPORTED, "compressed zip archive")
    with zipfile.ZipFile(path, "w") as target:
        target.write(state, "state.pth")
    refuse(library, path, UNSUPPORTED, "weights file inside")


def test_storage_size_must_match(library, tmp_path):
    path, changed = tmp_path / "w.pth", tmp_path / "changed.pth"
    torch.save({"a": torch.ones(100)}, path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:-4] if name.endswith("data/0") else data)
    refuse(library, changed, FORMAT, "announced with 100 elements of 4 bytes", "holds 396 bytes")


def test_repacked_zips(library, tmp_path):
    """Written by another zip writer: no padding, a comment, zip64 fields in the local headers."""
    path, repacked = tmp_path / "w.pth", tmp_path / "repacked.pth"
    state = zoo(torch.float32)
    torch.save(state, path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(repacked, "w") as target:
        target.comment = b"repacked"
        for name in source.namelist():
            with target.open(name, "w", force_zip64=True) as file:
                file.write(source.read(name))
    check(library, repacked, state, "pytorch zip")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_cut_files(library, tmp_path, kind):
    path, cut = tmp_path / "w", tmp_path / "cut"
    state = nn.Linear(30, 20).state_dict()
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    data = path.read_bytes()
    check(library, path, state)
    for size in range(16, len(data), 37):
        cut.write_bytes(data[:size])
        refuse(library, cut, FORMAT, "cut short")
    if kind != "zip":
        cut.write_bytes(data[:-10])
        refuse(library, cut, FORMAT, f"ends at byte {len(data) - 10} of {len(data)};")


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_large_files_are_mapped(library, tmp_path, kind):
    path = tmp_path / "large"
    state = {f"module.layer{i}.weight": torch.full((1 << 20,), float(i)) for i in range(100)}
    if kind == "safetensors":
        save_file(state, path)
    else:
        checkpoint = {"state_dict": state, "optimizer": {"state": {0: torch.ones(5)}}}
        torch.save(checkpoint, path, _use_new_zipfile_serialization=kind == "zip")
    del state
    assert path.stat().st_size > 400e6
    before = resident_bytes()
    start = time.perf_counter()
    with Weights(library, path) as weights:
        seconds = time.perf_counter() - start
        assert library.rml_weights_count(weights.handle) == 100
        print(f"{kind}: {path.stat().st_size / 1e6:.0f} MB open in {seconds * 1e3:.1f} ms")
        assert seconds < 0.25
        assert resident_bytes() - before < 32e6
    path.unlink()


@pytest.mark.parametrize(
    "name", ["ffdnet_ipol_rgb.pth", "ffdnet_author_gray.pth", "mobilenet_v2_imagenet.pth"]
)
def test_published_files(library, shared_data, name):
    path = shared_data / "weights" / name
    if not path.exists():
        pytest.skip(f"needs {name} in the shared test data")
    state = torch.load(path, map_location="cpu", weights_only=True)
    check(library, path, {k.replace("module.", ""): v for k, v in state.items()})

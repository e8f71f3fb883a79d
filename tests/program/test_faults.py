"""Every read and write of the program fails once: exit code 1, a sentence that names the file, and
nothing under the final name, nor over what lay there. Short reads and writes change nothing.

fault_shim.c, preloaded, counts the calls on files of one folder and fails the n-th; n goes from 1
until the program calls no more often.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from conftest import ROOT
from reference import checkpoints, clips, latent, lstm

OLD = b"what lay there before"
KINDS = ("EIO", "ENOSPC", "SHORT")


@dataclass
class Case:
    arguments: list
    outputs: dict = field(default_factory=dict)  # path: whether something lies there before


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    if not sys.platform.startswith("linux"):
        pytest.skip("LD_PRELOAD")
    path = tmp_path_factory.mktemp("shim") / "fault_shim.so"
    command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-w", "-o", path,
               ROOT / "tests" / "support" / "fault_shim.c", "-ldl", "-lpthread"]  # fmt: skip
    subprocess.run(command, check=True)
    return path


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "files"
    path.mkdir()
    return path


def copy(path, folder):
    """The same file or folder among those that count."""
    to = folder / Path(path).name
    (shutil.copytree if Path(path).is_dir() else shutil.copy)(path, to)
    return to


# ---- what is run --------------------------------------------------------------------------------


def sequence(folder, network):
    path = folder / "in.npy"
    np.save(path, lstm.random_inputs(2, 5, network.model.lstm.input_size, 1).numpy())
    return path


def weights_case(folder, lstm_network, kind):
    network = lstm_network()
    out = folder / "out.npy"
    arguments = ["exec", "lstm", "--weights", copy(network.file(kind), folder), "--input",
                 f"seq_input={sequence(folder, network)}", "--output", f"my_output={out}"]
    return Case(arguments, {out: True})  # fmt: skip


def onnx_case(folder):
    """A graph whose weights lie in two files beside it."""
    weights = [onnx.numpy_helper.from_array(np.ones((40, 40), np.float32), n) for n in "ab"]
    nodes = [onnx.helper.make_node("MatMul", pair, [to])
             for pair, to in ((["x", "a"], "t"), (["t", "b"], "y"))]  # fmt: skip
    port = [onnx.helper.make_tensor_value_info(n, 1, [2, 40]) for n in "xy"]
    graph = onnx.helper.make_graph(nodes, "g", port[:1], port[1:], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    path, out = folder / "model.onnx", folder / "out.npy"
    onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=False,
              size_threshold=0)  # fmt: skip
    np.save(folder / "x.npy", np.ones((2, 40), np.float32))
    return Case(["exec", path, "--input", f"x={folder}/x.npy", "--output", f"y={out}"], {out: True})


def picture_case(folder, ffdnet_network, name, result):
    out = folder / result
    cv2.imwrite(str(folder / name), clips.picture(1, 48, 40))
    weights = copy(ffdnet_network().file("zip"), folder)
    return Case(["ffdnet", folder / name, "-o", out, "-w", weights, "-s", 25], {out: True})


def exec_picture_case(folder, ffdnet_network):
    """A picture as an input and as an output."""
    out = folder / "out.png"
    cv2.imwrite(str(folder / "in.png"), clips.picture(1, 48, 40))
    weights = copy(ffdnet_network().file("zip"), folder)
    return Case(["exec", "ffdnet", "-w", weights, "-i", f"image={folder / 'in.png'}",
                 "-i", "sigma=0.1", "-o", f"denoised={out}"], {out: True})  # fmt: skip


def rows_case(folder, lstm_network):
    (folder / "a.csv").write_text("".join(f"{i},1.5,{i / 3}\n" for i in range(50)))
    (folder / "names.txt").write_text("one\ntwo\nthree\n")
    classes = ["--labels", folder / "names.txt"]
    weights = copy(lstm_network(classes=3).file("safetensors"), folder)
    return Case(["lstm", "--input", folder / "a.csv", "-w", weights, "--csv", *classes])


def convert_case(folder, lstm_network, name):
    out, x = folder / name, sequence(folder, lstm_network())
    weights = copy(lstm_network().file("zip"), folder)
    return Case(["convert", "lstm", "-w", weights, "-o", out, "--shape", "seq_input=?x5x1",
                 "--check-input", f"seq_input={x}"], {out: True})  # fmt: skip


def export_case(folder, lstm_network):
    """Two files: the header is there only where the source is."""
    weights = copy(lstm_network().file("zip"), folder)
    out = folder / "net.c"
    return Case(["export-c", "lstm", "-w", weights, "-i", "seq_input=1x5x1", "-o", out],
                {out: False, folder / "net.h": False})


def package_case(folder, lstm_network, program):
    """A folder is read, and one is written over another."""
    source, out = folder / "in.mlpackage", folder / "out.mlpackage"
    program.run("convert", "lstm", "-w", lstm_network().file("zip"), "-o", source, "--quiet")
    return Case(["convert", source, "-o", out], {out: True})


def npz_case(folder, lstm_network):
    network = lstm_network()
    x = lstm.random_inputs(1, 4, 1, 3)
    np.savez(folder / "kept.npz", seq_input=x.numpy(), my_output=network(x)[0].numpy())
    return Case(["compare", copy(network.file("zip"), folder), folder / "kept.npz"])


def clip_case(folder, wav2lip_network, blob_detector):
    frames = [clips.picture(i, 96, 80, clips.moving_face(i, 96, 80)) for i in range(3)]
    face = clips.write_video(folder / "face.mkv", frames, "25")
    voice = clips.write_voice(folder / "voice.wav", 0.24)
    out, faces = folder / "out.avi", folder / "faces.json"
    arguments = ["wav2lip", "--face", face, "--audio", voice, "--outfile", out, "--faces", faces,
                 "--codec", "mjpeg", "--s3fd", copy(blob_detector.file("zip"), folder),
                 "--checkpoint_path", folder / "lips.pth"]  # fmt: skip
    shutil.copy(wav2lip_network(1 / 16).file("zip"), folder / "lips.pth")
    return Case(arguments, {out: True, faces: False})


def latent_case(folder, hears):
    """Weights in a checkpoint and in folders with settings; a clip, a voice, a box."""
    at, out = latent.Saved(latent.random_networks(hears), folder), folder / "out.avi"
    frames = [clips.picture(i, 96, 80, clips.moving_face(i, 96, 80)) for i in range(2)]
    face = clips.write_video(folder / "face.mkv", frames, "25")
    voice = clips.write_voice(folder / "voice.wav", 0.24)
    return Case(["latent-wav2lip", "--face", face, "--audio", voice, "--outfile", out, "--codec",
                 "mjpeg", "--box", *(10, 70, 20, 80), *at.arguments()], {out: True})  # fmt: skip


CASES = {
    **{kind: lambda f, n, kind=kind: weights_case(f, n["lstm_network"], kind)
       for kind in ("zip", "legacy", "safetensors", "sharded")},
    "onnx": lambda f, n: onnx_case(f),
    "exec picture": lambda f, n: exec_picture_case(f, n["ffdnet_network"]),
    "png": lambda f, n: picture_case(f, n["ffdnet_network"], "in.png", "out.png"),
    "jpg": lambda f, n: picture_case(f, n["ffdnet_network"], "in.jpg", "out.jpg"),
    "bmp": lambda f, n: picture_case(f, n["ffdnet_network"], "in.ppm", "out.bmp"),
    "tif": lambda f, n: picture_case(f, n["ffdnet_network"], "in.tif", "out.tif"),
    "webp": lambda f, n: picture_case(f, n["ffdnet_network"], "in.webp", "out.webp"),
    "csv": lambda f, n: rows_case(f, n["lstm_network"]),
    **{f"convert-{kind}": lambda f, n, kind=kind: convert_case(f, n["lstm_network"], f"net.{kind}")
       for kind in ("safetensors", "onnx")},
    "convert-package": lambda f, n: package_case(f, n["lstm_network"], n["program"]),
    "export-c": lambda f, n: export_case(f, n["lstm_network"]),
    "npz": lambda f, n: npz_case(f, n["lstm_network"]),
    "clip": lambda f, n: clip_case(f, n["wav2lip_network"], n["blob_detector"]),
    **{f"latent-{hears}": lambda f, n, hears=hears: latent_case(f, hears)
       for hears in ("wav2vec2", "whisper")},
}  # fmt: skip


# ---- what lies there ----------------------------------------------------------------------------


def lay(path, there):
    """A file or a package of old; or nothing."""
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    if not there:
        return
    if path.suffix == ".mlpackage":
        path.mkdir()
        path = path / "Manifest.json"
    path.write_bytes(OLD)


def content(path):
    """Bytes of a file, or of all files of a folder by their names; None: there is nothing."""
    if not path.is_dir():
        return path.read_bytes() if path.exists() else None
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def old(path):
    return {Path("Manifest.json"): OLD} if path.suffix == ".mlpackage" else OLD


def others(case, folder):
    """All but the outputs and what lies in them."""
    return sorted(p for p in folder.rglob("*") if not {p, *p.parents} & set(case.outputs))


# ---- faults -------------------------------------------------------------------------------------


def check_failure(case, folder, done, told):
    assert done.returncode == 1, told
    lines = done.stderr.splitlines()
    assert len(lines) == 1, told
    named = [path for path in folder.rglob("*") if path.name in lines[0]]
    named += [path for path in case.outputs if path.name in lines[0]]
    assert named and "(null)" not in lines[0] and "Success" not in lines[0], told


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_every_call_fails_once(program, shim, folder, tmp_path, request, nowhere, name, kind):
    fixtures = "program lstm_network ffdnet_network wav2lip_network blob_detector".split()
    case = CASES[name](folder, {n: request.getfixturevalue(n) for n in fixtures})
    counted = tmp_path / "count"

    def attempt(call):
        """The outcome, what lies under the final names, how many calls there were, and what the
        one that failed does."""
        for path, there in case.outputs.items():
            lay(path, there)
        before = others(case, folder)
        env = {**nowhere, "LD_PRELOAD": shim, "FAULT_FOLDER": folder, "FAULT_CALL": call,
               "FAULT_KIND": kind, "FAULT_COUNT": counted}  # fmt: skip
        env = {name: str(value) for name, value in env.items()}
        quiet = [*case.arguments, "--quiet", "--threads", 1]
        done = program.run(*quiet, code=None, env=env)
        after = others(case, folder)
        assert after == before, f"call {call}: left behind: {set(after) ^ set(before)}"
        made = {path: content(path) for path in case.outputs}
        return done, made, *counted.read_text().split()

    usual, wanted, calls, _ = attempt(0)
    calls = int(calls)
    assert usual.returncode == 0, usual.stderr
    assert calls > 6 and all(made not in (None, old(path)) for path, made in wanted.items())
    failed = 0
    for call in range(1, calls + 1):
        done, made, _, does = attempt(call)
        told = f"{kind} at call {call} of {calls}: exit {done.returncode}: {done.stderr}"
        if done.returncode == 0:
            assert done.stdout == usual.stdout and made == wanted, told
            assert does != "W" or kind == "SHORT", f"not noticed: {told}"
            continue
        failed += 1
        check_failure(case, folder, done, told)
        for path, there in case.outputs.items():
            kept = old(path) if there else None
            assert made[path] == kept or (not there and made[path] == wanted[path]), told
    if kind == "EIO":
        assert failed >= calls / 3, f"only {failed} of {calls} calls mattered"
    if kind == "SHORT":
        assert failed == 0

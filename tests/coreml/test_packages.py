"""Packages: in zip archives, of several functions, and those that lead elsewhere."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import ct, mb  # noqa: E402
from coremltools.proto import Model_pb2  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]

X = np.random.default_rng(0).standard_normal((2, 3)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((4, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    path, _ = coreml_run.program_file(folder, lambda x: mb.linear(x=x, weight=W, name="y"), [X])
    assert (path / "Data/com.apple.CoreML/weights/weight.bin").exists()
    return path


def archive(path, entries, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as out:
        for name, data in entries.items():
            out.writestr(name, data)
    return path


def files(package, top):
    return {top + str(f.relative_to(package)): f.read_bytes()
            for f in sorted(package.rglob("*")) if f.is_file()}


@pytest.mark.parametrize("top", ["", "net.mlpackage/", "a/b/net.mlpackage/"])
@pytest.mark.parametrize("name", ["net.zip", "net.mlpackage", "download"])
def test_archive_runs(program, tmp_path, package, name, top):
    entries = {"__MACOSX/._Manifest.json": b"junk", "a/": b"", **files(package, top)}
    path = archive(tmp_path / name, entries)
    got = coreml_run.run(program, path, {"in0": X}, ["y"], tmp_path)[0]
    np.testing.assert_allclose(got, X @ W.T, rtol=0, atol=1e-6)
    info = json.loads(program.run("info", path, "--json").stdout)
    assert info["format"] == "coreml" and info["numbers"] == 16
    program.run("compare", path, package)
    program.run("bench", path, "--threads", "1", "--json")


@pytest.mark.parametrize("level", [1, 6, 9])
def test_compressed_archive_runs(program, tmp_path, level):
    """As other programs pack a folder; also weights that repeat themselves, over several blocks."""
    weight = np.random.default_rng(2).standard_normal((300, 400)).astype(np.float32)
    weight[:, 100:200] = weight[:, 200:300]
    weight[50:100] = 0.5
    x = np.random.default_rng(3).standard_normal((2, 400)).astype(np.float32)
    plain, _ = coreml_run.program_file(tmp_path, lambda x: mb.linear(x=x, weight=weight, name="y"),
                                       [x])  # fmt: skip
    path = tmp_path / "net.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as out:
        for name, data in files(plain, "net.mlpackage/").items():
            out.writestr(name, data)
    assert path.stat().st_size < 300 * 400 * 4
    got, want = (coreml_run.run(program, p, {"in0": x}, ["y"], tmp_path)[0] for p in (path, plain))
    np.testing.assert_array_equal(got, want)
    program.run("compare", path, plain)
    program.run("check", path)
    program.run("convert", path, "-o", tmp_path / "net.onnx")


def refused(program, path, *words):
    done = program.run("info", path, code=1)
    for word in words:
        assert word in done.stderr, done.stderr
    assert done.stdout == "" and done.stderr.count("\n") == 1


def test_archives_that_are_refused(program, tmp_path, package):
    good = files(package, "net.mlpackage/")
    manifest = "net.mlpackage/Manifest.json"
    weights = "net.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    at = tmp_path / "net.zip"
    archive(at, good, zipfile.ZIP_BZIP2)
    refused(program, at, "uses method 12")
    archive(at, good, zipfile.ZIP_DEFLATED)
    packed = bytearray(at.read_bytes())
    start = packed.index(b"weight.bin") + len(b"weight.bin")
    packed[start + 5] ^= 0xFF
    at.write_bytes(packed)
    refused(program, at, "weight.bin: ", "damaged")
    archive(at, {**good, **files(package, "other.mlpackage/")})
    refused(program, at, "two packages", manifest, "other.mlpackage/Manifest.json")
    archive(at, {**good, "../out": b""})
    refused(program, at, 'entry "../out" of the archive is not a path inside it')
    archive(at, {**good, "/etc/out": b""})
    refused(program, at, 'entry "/etc/out" of the archive is not a path inside it')
    archive(at, {k: v for k, v in good.items() if k != weights})
    refused(program, at, f'the archive has no "{weights}"')
    archive(at, {k: v for k, v in good.items() if k != manifest})
    refused(program, at, "zip archive")
    for root in ("../../x", "/etc/passwd", "a/../b"):
        other = json.loads(good[manifest])
        other["itemInfoEntries"][other["rootModelIdentifier"]]["path"] = root
        archive(at, {**good, manifest: json.dumps(other).encode()})
        refused(program, at, "is not a path inside the model's folder")
    archive(at, good)
    whole = at.read_bytes()
    for size in (4, 100, len(whole) // 2, len(whole) - 1):
        at.write_bytes(whole[:size])
        refused(program, at, f"cut short: the file ends at byte {size}")


def test_folders_that_are_refused(program, tmp_path, package):
    at = tmp_path / "net.mlpackage"
    data, outside = at / "Data/com.apple.CoreML", tmp_path / "outside"
    manifest = json.loads((package / "Manifest.json").read_text())
    root = manifest["rootModelIdentifier"]

    def changed(**keys):
        shutil.rmtree(at, ignore_errors=True)
        shutil.copytree(package, at)
        (at / "Manifest.json").write_text(json.dumps({**manifest, **keys}))

    for path in ("../../x", "/etc/passwd", "com.apple.CoreML/../../../x"):
        changed(itemInfoEntries={root: {"path": path}})
        refused(program, at, "is not a path inside the model's folder")
    changed(itemInfoEntries={root: {}})
    refused(program, at, f'no path for its root "{root}"')
    changed(rootModelIdentifier="none")
    refused(program, at, 'no path for its root "none"')
    for version in ("2.0.0", "1.1.0", "1.0.1"):
        changed(fileFormatVersion=version)
        refused(program, at, f"format {version} of packages is newer", "1.0.0")
    for name in ("model.mlmodel", "weights/weight.bin", "weights"):
        changed()
        away = outside / str(data / name).replace("/", "_")
        outside.mkdir(exist_ok=True)
        os.rename(data / name, away)
        os.symlink(away, data / name)
        refused(program, at, "is a link that leads out of the model's folder")
    changed()
    (data / "weights/weight.bin").unlink()
    refused(program, at, "weight.bin")


# ---- functions -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """"main" and "twice", whose inputs and outputs have other names, and neither is the default."""
    folder = tmp_path_factory.mktemp("functions")
    described = ct.utils.MultiFunctionDescriptor()
    for name, factor in (("main", 1), ("twice", 2)):
        (folder / name).mkdir()
        path, _ = coreml_run.program_file(
            folder / name, lambda x: mb.linear(x=x, weight=factor * W, name=f"y_{name}"), [X], 8)
        described.add_function(str(path), "main", name)
    described.default_function_name = "main"
    path = folder / "functions.mlpackage"
    ct.utils.save_multifunction(described, str(path))
    return path


def change(path, to, edit):
    """A copy of a package with another model in it."""
    shutil.copytree(path, to)
    model = to / "Data/com.apple.CoreML/model.mlmodel"
    spec = Model_pb2.Model()
    spec.ParseFromString(model.read_bytes())
    edit(spec)
    model.write_bytes(spec.SerializeToString())
    return to


def test_functions(program, tmp_path, functions):
    for name, factor, options in (("main", 1, []), ("main", 1, ["--function", "main"]),
                                  ("twice", 2, ["--function", "twice"])):
        got = coreml_run.run(program, functions, {"in0": X}, [f"y_{name}"], tmp_path, *options)
        np.testing.assert_allclose(got[0], factor * X @ W.T, rtol=0, atol=1e-6)
        info = json.loads(program.run("info", functions, "--json", *options).stdout)
        assert info["function"] == name and sorted(info["function_names"]) == ["main", "twice"]
        assert [o["name"] for o in info["outputs"]] == [f"y_{name}"]
    text = program.run("info", functions, "--function", "twice").stdout
    assert "function twice, this one\n" in text and "function main\n" in text
    program.run("bench", functions, "--function", "twice", "--threads", "1")
    program.run("compare", functions, functions, "--function", "twice")
    done = program.run("compare", functions, functions, "--function", "none", code=1)
    assert 'no function "none"' in done.stderr


@pytest.mark.parametrize("command", ["info", "bench", "exec"])
def test_unknown_function(program, functions, command):
    options = ["--input", "in0=x.npy", "--output", "y=y.npy"] if command == "exec" else []
    done = program.run(command, functions, "--function", "none", *options, code=1)
    assert 'there is no function "none"; there are: ' in done.stderr
    assert "main" in done.stderr and "twice" in done.stderr


def test_the_function_that_runs_by_default(program, tmp_path, functions):
    def default(name):
        def edit(spec):
            spec.description.defaultFunctionName = name
        return change(functions, tmp_path / f"default {name}", edit)

    def outputs(path):
        info = json.loads(program.run("info", path, "--json").stdout)
        return [o["name"] for o in info["outputs"]]

    assert outputs(default("twice")) == ["y_twice"]
    assert outputs(default("")) == ["y_main"]
    assert 'no function "third"; there are' in program.run("info", default("third"), code=1).stderr

    def only(spec):
        spec.description.defaultFunctionName = ""
        del spec.mlProgram.functions["main"]
        kept = [f for f in spec.description.functions if f.name == "twice"]
        del spec.description.functions[:]
        spec.description.functions.extend(kept)

    assert outputs(change(functions, tmp_path / "only", only)) == ["y_twice"]

    def undescribed(spec):
        spec.description.functions[0].name = "other"
        spec.description.functions[1].name = "another"

    done = program.run("info", change(functions, tmp_path / "undescribed", undescribed), code=1)
    assert 'the description lacks function "main"' in done.stderr


def test_functions_of_files_that_have_none(program, tmp_path, package):
    import onnx

    network = ROOT / "tests/fuzz/corpus/coreml/loop.mlmodel"
    assert "only these have functions" in program.run("info", network, "--function", "f",
                                                      code=1).stderr
    x = onnx.helper.make_tensor_value_info("x", 1, [1])
    y = onnx.helper.make_tensor_value_info("y", 1, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "net.onnx")
    for command in ("info", "bench"):
        done = program.run(command, tmp_path / "net.onnx", "--function", "f", code=1)
        assert 'function "f" is wanted of an ONNX file' in done.stderr
    assert "built-in network" in program.run("bench", "lstm", "--function", "f", code=2).stderr

"""Packages: in zip archives, of several functions, and those that lead elsewhere."""

import json
import os
import shutil
import zipfile

import numpy as np
import pytest

pytest.importorskip("coremltools")

import coreml_run  # noqa: E402
from coreml_run import mb  # noqa: E402

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
    archive(at, good, zipfile.ZIP_DEFLATED)
    refused(program, at, "is compressed in the archive (method 8)", "unpack it", "zip -0 -r")
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

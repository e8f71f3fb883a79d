"""Folders of images and names of files as people have them."""

import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from conftest import json_lines
from test_picture_formats import colours, identity, saved  # noqa: F401


@pytest.fixture
def denoise(program, identity):  # noqa: F811
    def run(source, *arguments, code=0, **settings):
        weights = ["-w", identity, "--sigma", 9]
        return program.run("ffdnet", source, *weights, *arguments, code=code, **settings)

    return run


def below(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_content_decides(denoise, program, tmp_path):
    """Every kind of image is taken whatever its name, and the result is what the source was."""
    folder = tmp_path / "in"
    folder.mkdir()
    files = {"a.jfif": "JPEG", "b.jpe": "JPEG", "c.webp": "WEBP", "d.tif": "TIFF", "e.JIF": "JPEG",
             "f.dib": "BMP", "g.jpg": "PNG", "h.png": "JPEG", "none": "PNG", "i.txt": "TIFF"}
    for seed, (name, kind) in enumerate(files.items()):
        channels = 4 if kind == "PNG" else 3
        (folder / name).write_bytes(saved(colours(channels=channels, seed=seed), kind))
    (folder / "notes.txt").write_text("P5 is no image here")
    done = denoise(folder, "--json")
    out = tmp_path / "in_denoised"
    assert below(out) == sorted(files) and done.stderr == ""
    for name, kind in files.items():
        image = Image.open(out / name)
        assert image.format == kind and image.mode == ("RGBA" if kind == "PNG" else "RGB")
        if kind not in ("JPEG", "WEBP"):
            assert (np.array(image) == np.array(Image.open(folder / name))).all()
    assert all(line["channels"] == (4 if files[os.path.basename(line["file"])] == "PNG" else 3)
               for line in json_lines(done.stdout))
    told = program.run("mobilenetv2", folder).stdout
    assert told.count("\n") == len(files)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 50


@pytest.mark.parametrize("command", ["ffdnet", "mobilenetv2"])
def test_images_that_are_not_read_are_told(denoise, program, tmp_path, command):
    folder = tmp_path / "in"
    folder.mkdir()
    good = saved(colours(), "PNG")
    gif = saved(colours(), "GIF")
    for name, data in {"a.heic": HEIC, "b.jpg": HEIC, "c.gif": gif, "d.png": good, "e.avif": b"",
                       "f": b"\xff\x4f\xff\x51", "g.txt": b"text", "a.heic.png": good}.items():
        (folder / name).write_bytes(data)
    (folder / "link.png").symlink_to("nowhere.png")
    done = denoise(folder, code=1) if command == "ffdnet" else program.run(command, folder, code=1)
    told = [line for line in done.stderr.splitlines() if str(folder) in line]
    names = ["a.heic", "b.jpg", "c.gif", "e.avif", "f", "link.png"]
    assert len(told) == len(names) and all(f"/{n}: " in t for n, t in zip(names, told))
    assert "a HEIC image" in told[0] and "a HEIC image" in told[1] and "a GIF image" in told[2]
    if command == "ffdnet":
        assert below(tmp_path / "in_denoised") == ["a.heic.png", "d.png"]


def test_what_a_result_cannot_hold_is_told(denoise, tmp_path):
    source = tmp_path / "a.png"
    source.write_bytes(saved(colours(channels=4), "PNG"))
    done = denoise(source, "-o", tmp_path / "b.jpg")
    assert "a.png: JPEG holds no alpha, which was left out" in done.stderr
    assert " RGB, 8 bits" in done.stdout
    assert denoise(source, "-o", tmp_path / "b.jpg", "--quiet").stderr == ""


@pytest.mark.parametrize("command", ["ffdnet", "mobilenetv2"])
def test_folder_that_cannot_be_read(denoise, program, tmp_path, command):
    """Deeper than a path may be long, so that root cannot read it either."""
    folder = tmp_path / "in"
    (folder / "b").mkdir(parents=True)
    for name in ("a.png", "b/c.png", "z.png"):
        (folder / name).write_bytes(saved(colours(), "PNG"))
    at = os.open(folder / "b", os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=at)
        next_ = os.open("d" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = next_
    os.close(at)
    done = denoise(folder, code=1) if command == "ffdnet" else program.run(command, folder, code=1)
    assert done.stdout.count("\n") == 3
    told = [line for line in done.stderr.splitlines() if "/b/ddd" in line]  # its end is cut off
    assert len(told) == 1 and told[0].startswith(f"run-model {command}: {folder}/b/ddd")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_folder_without_permission(program, identity, tmp_path):  # noqa: F811
    folder = tmp_path / "in"
    for name in ("a.png", "closed/b.png", "z.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(saved(colours(), "PNG"))
    out, weights = tmp_path / "out", tmp_path / "w.pth"
    out.mkdir(mode=0o777)
    out.chmod(0o777)
    shutil.copy(identity, weights)
    (folder / "closed").chmod(0)
    tmp_path.chmod(0o755)
    parents = [p for p in tmp_path.parents if p.stat().st_uid == 0 and str(p) != "/tmp"]
    for parent in parents[:3]:  # of this test, of a worker of pytest, of the run
        parent.chmod(0o755)
    done = subprocess.run(
        program.command("ffdnet", folder, "-o", out, "-w", weights, "--sigma", 9),
        capture_output=True, text=True, user=65534, group=65534, extra_groups=[])
    (folder / "closed").chmod(0o755)
    assert done.returncode == 1 and done.stdout.count("\n") == 2, done
    assert f"{folder}/closed: cannot be read: " in done.stderr and done.stderr.count("\n") == 1
    assert below(out) == ["a.png", "z.png"]


@pytest.mark.parametrize("length", [1, 240, 241, 250, 255])
@pytest.mark.parametrize("letter", ["a", "é"])
def test_long_names(denoise, tmp_path, length, letter):
    """Any name that a file can have, a result can have; temporary names are cut."""
    name = letter * ((length - 4) // len(letter.encode())) + ".png" if length > 4 else "a"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(saved(colours(), "PNG"))
    done = denoise(tmp_path / "in", "-o", tmp_path / "out")
    assert below(tmp_path / "out") == [name] and done.stderr == ""
    if length > 4:
        denoise(tmp_path / "in" / name, "-o", name, cwd=tmp_path)
        assert (tmp_path / name).is_file()


def test_result_that_is_a_link(denoise, tmp_path):
    """What a link leads to is written, there already or not; the link stays."""
    source = tmp_path / "a.png"
    source.write_bytes(saved(colours(), "PNG"))
    (tmp_path / "far").mkdir()
    (tmp_path / "far/there.png").write_bytes(b"old")
    (tmp_path / "far/new.png").symlink_to("newer.png")
    links = {"one.png": "far/there.png", "two.png": tmp_path / "far/new.png",
             "three.png": "two.png"}
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
        denoise(source, "-o", tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert (np.array(Image.open(tmp_path / name)) == colours()).all()
    assert not (tmp_path / "far/there.png").is_symlink()
    assert below(tmp_path / "far") == ["new.png", "newer.png", "there.png"]
    (tmp_path / "loop.png").symlink_to("loop.png")
    done = denoise(source, "-o", tmp_path / "loop.png", code=1)
    assert "loop.png: cannot be created" in done.stderr and (tmp_path / "loop.png").is_symlink()
    os.mkfifo(tmp_path / "pipe.png")
    done = denoise(source, "-o", tmp_path / "pipe.png", code=1)
    assert "pipe.png: is a device or pipe" in done.stderr and (tmp_path / "pipe.png").is_fifo()


@pytest.mark.parametrize("command", ["ffdnet"])
def test_results_are_no_sources_of_a_later_run(denoise, tmp_path, command):
    folder = tmp_path / "in"
    for name in ("a.png", "sub/b.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(saved(colours(), "PNG"))
    names = ["a.png", "sub/b.png"]
    denoise(folder, "-o", folder / "out")
    assert below(folder / "out") == names
    done = denoise(folder, "-o", folder / "out2")
    assert below(folder / "out2") == names
    assert done.stderr == f"{folder}/out: left out, it holds results of an earlier run\n"
    done = denoise(folder, "-o", folder / "sub/out3")
    assert below(folder / "sub/out3") == names and done.stderr.count("\n") == 2
    done = denoise(folder, "-o", tmp_path / "out4")
    assert below(tmp_path / "out4") == names and done.stderr.count("\n") == 3
    # Named itself, a folder of results is a source as any other.
    denoise(folder / "out", "-o", tmp_path / "out5")
    assert below(tmp_path / "out5") == names

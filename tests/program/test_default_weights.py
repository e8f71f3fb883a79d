"""Weights that nobody named: where they are looked for, and what is said of them."""

import numpy as np
import pytest

from conftest import json_lines
from reference import checkpoints, clips, wav2lip

BOX = (30, 100, 50, 110)
NOTE = "made for generated faces, not for real ones"


@pytest.fixture
def lips(wav2lip_network):
    return wav2lip_network(1 / 16)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("default weights")
    frames = [clips.picture(i, face=clips.moving_face(i)) for i in range(10)]
    face = clips.write_video(folder / "face.mkv", frames, 25)
    return face, clips.write_voice(folder / "voice.wav", 0.4)


@pytest.fixture
def run_exec(tmp_path):
    """run_exec(program, env): runs wav2lip on arrays without naming weights."""
    arguments = ["exec", "wav2lip", "--output", "frames=out.npy"]
    for name, array in zip(("audio", "face"), wav2lip.random_inputs(1, 5)):
        np.save(tmp_path / f"{name}.npy", array.numpy())
        arguments += ["--input", f"{name}={name}.npy"]

    def run(program, env, *more, code=0):
        return program.run(*arguments, *more, env=env, cwd=tmp_path, code=code)

    return run


def put(network, folder, name="wav2lip.safetensors", **metadata):
    folder.mkdir(parents=True, exist_ok=True)
    return checkpoints.save_safetensors(network.state, folder / name, metadata or None)


def test_no_weights_names_the_option_and_the_folder(elsewhere, nowhere, run_exec, tmp_path):
    program = elsewhere(tmp_path / "bin")
    done = run_exec(program, nowhere, code=2)
    assert done.stdout == "" and done.stderr.count("\n") == 1
    folder = tmp_path / "home/.local/share/run-model"
    assert f"--weights FILE, or put wav2lip.safetensors or wav2lip.pth into {folder}" in done.stderr
    arguments = ["wav2lip", "--face", "f.mp4", "--audio", "a.wav", "--box", *BOX]
    done = program.run(*arguments, env=nowhere | {"RUN_MODEL_HOME": "/place"}, code=2)
    assert "--checkpoint_path FILE" in done.stderr and "into /place\n" in done.stderr
    done = program.run(*arguments, env=nowhere | {"HOME": ""}, code=2)
    assert done.stderr.endswith("give --checkpoint_path FILE\n")


def test_no_detector_says_what_to_do(elsewhere, nowhere, lips, tmp_path):
    arguments = ["wav2lip", "--face", "f.mp4", "--audio", "a.wav"]
    arguments += ["--checkpoint_path", lips.file("zip")]
    done = elsewhere(tmp_path / "bin").run(*arguments, env=nowhere, code=2)
    assert done.stderr.count("\n") == 1 and "--s3fd" in done.stderr and "--box" in done.stderr


def test_order_of_places(elsewhere, nowhere, run_exec, lips, tmp_path):
    """Each place wins over all that come after it."""
    program = elsewhere(tmp_path / "tree/build/release")
    env = nowhere | {"XDG_DATA_HOME": str(tmp_path / "data"), "RUN_MODEL_HOME": str(tmp_path / "r")}
    places = ["tree/data/weights", "data/run-model", "r"]
    for place in places:
        path = put(lips, tmp_path / place)
        assert run_exec(program, env).stderr == f"wav2lip weights: {path}\n"
        assert run_exec(program, env, "--quiet").stderr == ""
    # A folder of that name is no file, and an empty variable is none.
    path.unlink()
    path.mkdir()
    assert str(tmp_path / "data") in run_exec(program, env).stderr
    user = put(lips, tmp_path / "home/.local/share/run-model", "wav2lip_gan.pth")
    assert f": {user}\n" in run_exec(program, env | {"XDG_DATA_HOME": ""}).stderr


def test_installed_program(elsewhere, nowhere, run_exec, lips, tmp_path):
    program = elsewhere(tmp_path / "usr/bin")
    path = put(lips, tmp_path / "usr/share/run-model")
    assert run_exec(program, nowhere).stderr == f"wav2lip weights: {path}\n"


def test_note_is_said_wherever_the_file_lies(elsewhere, nowhere, run_exec, lips, tmp_path):
    program = elsewhere(tmp_path / "bin")
    path = put(lips, tmp_path / "any where", "x.safetensors", note=NOTE, made_by="me")
    done = run_exec(program, nowhere, "--weights", path)
    assert done.stderr == f"wav2lip weights, note: {NOTE}\n"
    assert run_exec(program, nowhere, "--weights", path, "--quiet").stderr == ""


def test_note_cannot_move_the_cursor(program, lips, tmp_path, run_exec):
    path = put(lips, tmp_path, note="\x1b[2J\r\nrun-model: all is well\u009b" + "x" * 100_000)
    done = run_exec(program, None, "--weights", path)
    assert done.stderr.startswith("wav2lip weights, note: ?[2J??run-model: all is well?xxx")
    assert done.stderr.endswith("x...\n") and len(done.stderr) < 600


def test_info_shows_metadata(program, lips, tmp_path):
    path = put(lips, tmp_path, note=NOTE, model='wav2lip "narrow"')
    text = program.run("info", path).stdout
    assert f"\nmetadata note: {NOTE}\n" in text
    line = json_lines(program.run("info", path, "--json").stdout)[0]
    assert line["metadata"] == {"note": NOTE, "model": 'wav2lip "narrow"'}
    line = json_lines(program.run("info", lips.file("zip"), "--json").stdout)[0]
    assert line["metadata"] == {}


def test_lip_sync_with_nothing_named(program, nowhere, lips, blob_detector, clip, tmp_path):
    home, out = tmp_path / "place", tmp_path / "out.mkv"
    files = [put(lips, home, note=NOTE), put(blob_detector, home, "s3fd.safetensors")]
    env = nowhere | {"RUN_MODEL_HOME": str(home)}
    arguments = ["wav2lip", "--face", clip[0], "--audio", clip[1], "--codec=ffv1",
                 "--no_colour_match"]  # random weights leave a seam, which would be told
    done = program.run(*arguments, "--outfile", out, env=env)
    assert done.stderr.splitlines() == [
        f"wav2lip weights: {files[0]}",
        f"wav2lip weights, note: {NOTE}",
        f"s3fd weights: {files[1]}",
    ]
    named = ["--checkpoint_path", lips.file("zip"), "--s3fd", blob_detector.file("zip")]
    program.run(*arguments, *named, "--outfile", tmp_path / "named.mkv")
    pair = [clips.read_video(path) for path in (out, tmp_path / "named.mkv")]
    assert len(pair[0]) == 10 and all((a == b).all() for a, b in zip(*pair, strict=True))
    # A detector that is not needed is neither read nor told of.
    done = program.run(*arguments, "--box", *BOX, "--outfile", out, env=env)
    assert "s3fd" not in done.stderr

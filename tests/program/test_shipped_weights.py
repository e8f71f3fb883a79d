"""The weights in data/weights: each is the network of its name, says what it is, has a card."""

import pytest
from safetensors import safe_open

from conftest import ROOT, json_lines

FOLDER = ROOT / "data" / "weights"
DEMO = ROOT / "data" / "demo"
FILES = sorted(path.name for path in FOLDER.glob("*.safetensors"))


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_what_it_is_named(program, name):
    line = json_lines(program.run("info", FOLDER / name, "--json").stdout)[0]
    assert line["network"] == name.split(".")[0].split("_")[0]
    assert {"model", "made_by", "note"} <= set(line["metadata"])
    assert len(line["metadata"]["note"]) <= 200  # one line of the program's
    with safe_open(FOLDER / name, "np") as file:
        assert {str(file.get_tensor(key).dtype) for key in file.keys()} <= {"float16", "float32",
                                                                           "int64"}


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_a_card(name):
    card = (FOLDER / name).with_suffix(".md").read_text()
    assert card.startswith("# ") and name in card


SEE_FACES = ("wav2lip", "s3fd", "syncnet")


@pytest.mark.parametrize("name", [n for n in FILES if n.split(".")[0] in SEE_FACES])
def test_faces_are_said_to_be_generated(program, name):
    line = json_lines(program.run("info", FOLDER / name, "--json").stdout)[0]
    assert "not for real ones" in line["metadata"]["note"]


def test_the_demo_says_what_it_uses(program, tmp_path):
    """The README's first command, with nothing named and nothing found elsewhere."""
    out = tmp_path / "demo.mp4"
    arguments = ["wav2lip", "--face", DEMO / "face.mp4", "--audio", DEMO / "voice.wav"]
    env = {"RUN_MODEL_HOME": "", "XDG_DATA_HOME": "", "HOME": str(tmp_path)}
    done = program.run(*arguments, "--outfile", out, "--json", env=env)
    told = [line for line in done.stderr.splitlines() if "weights" in line]
    assert [line.split(" weights")[0] for line in told] == ["wav2lip"] * 2 + ["s3fd"] * 2
    assert all("not for real ones" in line for line in told[1::2])
    assert [line.split(": ")[1] for line in told[::2]] == [
        str(FOLDER / "wav2lip.safetensors"), str(FOLDER / "s3fd.safetensors")]
    result = json_lines(done.stdout)[0]
    assert result["frames_without_face"] == 0 and result["frames"] > 90

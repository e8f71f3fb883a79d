"""The weights in data/weights: each is the network of its name, says what it is, has a card."""

import pytest
from safetensors import safe_open

from conftest import ROOT, json_lines

FOLDER = ROOT / "data" / "weights"
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


@pytest.mark.parametrize("name", [n for n in FILES if n.split(".")[0] in ("wav2lip", "s3fd")])
def test_faces_are_said_to_be_generated(program, name):
    line = json_lines(program.run("info", FOLDER / name, "--json").stdout)[0]
    assert "not for real ones" in line["metadata"]["note"]

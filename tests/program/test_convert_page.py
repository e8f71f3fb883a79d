"""docs/convert.md is true: every command on it is run, in order, and prints what stands below it.

Sizes and errors depend on the weights, which are small ones made here: where the page has a number
of bytes or an error any other may stand, and an error is held to its bound.
"""

import json
import re
import shlex
import subprocess

import pytest

from conftest import ROOT
from reference import checkpoints, exports, ffdnet, lstm, mobilenetv2, wav2lip

NUMBERS = [(re.compile(r"\b[\d.]+ (MB|kB)\b"), "N bytes"),
           (re.compile(r"\b\d\.\de[-+]\d\d\b"), "N")]  # fmt: skip
BLOCK = re.compile(r"(?:^    .*\n)+", re.MULTILINE)


def page_commands():
    """(command, lines below it) of every indented block that begins with "$ "."""
    for block in BLOCK.findall((ROOT / "docs" / "convert.md").read_text()):
        lines = [line[4:] for line in block.splitlines()]
        if not lines[0].startswith("$ "):
            continue
        commands = []
        for line in lines:
            if line.startswith("$ "):
                commands.append((line[2:], []))
            elif commands[-1][0].endswith("\\"):
                commands[-1] = (commands[-1][0][:-1] + line.strip(), [])
            else:
                commands[-1][1].append(line)
        yield from commands


def labels():
    """As many as ImageNet has, and with its twins."""
    names = [f"class {i}" for i in range(1000)]
    names[134] = names[517] = "crane"
    names[638] = names[639] = "maillot"
    return {str(i): [f"n{i:08d}", name] for i, name in enumerate(names)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The files that the page speaks of."""
    at = tmp_path_factory.mktemp("page")
    for name, network in {
        "wav2lip.pth": wav2lip.random_wav2lip(1 / 16),
        "net_rgb.pth": ffdnet.random_ffdnet("ipol", width=12, depth=5),
        "mobilenet_v2.pth": mobilenetv2.random_mobilenetv2(0.25),
        "lstm.pth": lstm.random_classifier(),
    }.items():
        checkpoints.save_zip(checkpoints.state_of(network), at / name)
    (at / "imagenet_class_index.json").write_text(json.dumps(labels()))
    exports.example("unet").model.model.save_pretrained(at / "unet")
    return at


def plain(line):
    for pattern, word in NUMBERS:
        line = pattern.sub(word, line)
    return line.rstrip()


def test_every_command_of_the_page(program, folder):
    commands = list(page_commands())
    assert len(commands) >= 10
    for command, wanted in commands:
        words = shlex.split(command)
        assert words[0] == "run-model", command
        done = subprocess.run(
            program.command(*words[1:]), cwd=folder, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        printed = done.stdout.splitlines()
        assert list(map(plain, printed)) == list(map(plain, wanted)), f"{command}\n{done.stdout}"

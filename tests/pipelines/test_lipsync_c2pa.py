"""Results of lip-sync signed as C2PA manifests, read back by the library's own reader."""

import ctypes.util
import json
import subprocess
from pathlib import Path

import c2pa
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization

from reference import certificates, clips

FRAMES = 8
BOX = (8, 72, 8, 72)  # top bottom left right
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
LIBRARY = str(next(Path(c2pa.__file__).parent.rglob("libc2pa_c.so")))


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return certificates.write(tmp_path_factory.mktemp("signer"), "es256")


@pytest.fixture
def make(program, voices, generator, tmp_path, signer):
    face = tmp_path / "face.mkv"
    clips.write_video(face, [np.full((80, 96, 3), 60 + 9 * i, np.uint8) for i in range(FRAMES)], 25)

    def go(name, *arguments, code=0, library=LIBRARY, certificate=signer[0], key=signer[1]):
        out = tmp_path / "out"
        out.mkdir(exist_ok=True)
        sign = ["--c2pa", certificate] if certificate else []
        sign += ["--c2pa_key", key] if key else []
        done = program.run(
            *["wav2lip", "--face", face, "--audio", voices(FRAMES / 25), "--box", *BOX],
            *["--checkpoint_path", generator.file("zip"), "--outfile", out / name],
            *sign,
            *arguments,
            code=code,
            env={"RUN_MODEL_C2PA": library},
        )
        assert [p.name for p in out.iterdir()] == ([] if code else [name])
        return done.stderr if code else out / name

    return go


def decoded(path):
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "framemd5", "-"],
                          check=True, capture_output=True, text=True)  # fmt: skip
    assert not done.stderr
    return [line.split(",")[-1] for line in done.stdout.splitlines() if line[0] != "#"]


def read(path):
    """The state of a file, and its manifest."""
    told = json.loads(c2pa.Reader(str(path)).json())
    return told["validation_state"], told["manifests"][told["active_manifest"]]


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.m4v", "a.avi"])
def test_the_manifest_says_how_it_was_made(make, program, signer, name):
    path = make(name, "--mask", "lower")
    state, manifest = read(path)
    assert state == "Valid"  # signed and unchanged; that nobody trusts the tests is said apart
    version = program.run("--version").stdout.split()[1]
    generator = manifest["claim_generator_info"][0]
    assert (generator["name"], generator["version"]) == ("run-model", version)
    said = {a["label"].split(".v")[0]: a["data"] for a in manifest["assertions"]}
    actions = said["c2pa.actions"]["actions"]
    assert [a["action"] for a in actions] == ["c2pa.created", "c2pa.edited"]
    assert {a["digitalSourceType"] for a in actions} == {SOURCE}
    shown = json.loads(program.run("info", path, "--json").stdout)  # the mark is there too
    made = said["run-model.made"]
    assert made["command"] == "wav2lip" and made["settings"]["mask"] == "lower"
    assert [f"{w['name']} {w['file']} sha256:{w['sha256']}" for w in made["weights"]] == shown[
        "weights"
    ]
    assert not [s for s in made["settings"] if "c2pa" in s]
    signed = decoded(path)
    path.unlink()
    assert signed == decoded(make(name, "--mask", "lower", certificate=None, key=None))


def test_a_change_breaks_it(make):
    path = make("a.mp4")
    data = bytearray(path.read_bytes())
    data[data.index(b"mdat") + 200] ^= 1
    path.write_bytes(data)
    assert read(path)[0] == "Invalid"


@pytest.mark.parametrize("algorithm", ["es384", "ps256", "ed25519"])
def test_keys_of_all_kinds(make, tmp_path, algorithm):
    certificate, key = certificates.write(tmp_path / "keys", algorithm)
    state, manifest = read(make("a.mp4", certificate=certificate, key=key))
    assert state == "Valid" and manifest["signature_info"]["alg"].lower() == algorithm


def test_what_does_not_fit(make, tmp_path, signer):
    """One sentence each, before the work; nothing lies under the name, and nothing beside it."""
    other = tmp_path / "other.pem"
    other.write_bytes(certificates.MAKE["es256"]().private_bytes(**certificates.PRIVATE))
    told = make("a.mp4", key=other, code=1)
    assert "a.mp4: cannot be signed with" in told and "does not match" in told
    rsa = certificates.write(tmp_path / "rsa", "ps256")[1]
    assert "cannot be signed with" in make("a.mp4", key=rsa, code=1)
    locked = certificates.PRIVATE | {
        "encryption_algorithm": serialization.BestAvailableEncryption(b"word")
    }
    other.write_bytes(certificates.MAKE["es256"]().private_bytes(**locked))
    assert "is an encrypted key" in make("a.mp4", key=other, code=1)
    assert "holds no private key" in make("a.mp4", key=signer[0], code=1)
    assert "holds no certificate" in make("a.mp4", certificate=signer[1], code=1)
    other.write_bytes(b"\0" * 100)
    assert "is no text in PEM" in make("a.mp4", key=other, code=1)
    other.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA" + b"A" * 4000)
    assert "of another kind than" in make("a.mp4", key=other, code=1)
    assert "No such file" in make("a.mp4", key=tmp_path / "none.pem", code=1)


def test_where_it_is_not_signed(make):
    assert "a.mkv: C2PA signs .mp4, .m4v, .mov and .avi" in make("a.mkv", code=1)
    if not ctypes.util.find_library("c2pa_c"):
        told = make("a.mp4", library="", code=1)
        assert "C2PA needs the library libc2pa_c.so, which is not installed here" in told
    assert "/none.so: is no library" in make("a.mp4", library="/none.so", code=1)
    assert "is no C2PA library: it lacks c2pa_error" in make("a.mp4", library="libm.so.6", code=1)
    assert "--c2pa_key is missing" in make("a.mp4", key=None, code=2)
    assert "--c2pa is missing" in make("a.mp4", certificate=None, code=2)
    assert "--no_mark leaves out" in make("a.mp4", "--no_mark", code=2)

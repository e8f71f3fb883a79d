"""What the Python tests share: the program, its CPU levels, checkpoints, comparisons."""

import functools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from reference import checkpoints, clips, ffdnet, lstm, mobilenetv2, s3fd  # noqa: E402
from reference import syncnet, wav2lip  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
NETWORK_TOLERANCE = 5e-5  # of the largest reference value, for a whole network in fp32

# Two threads that wait for each other at barriers crawl when another process takes a core.
torch.set_num_threads(1)


def find_program() -> Path:
    return Path(os.environ.get("RUN_MODEL") or ROOT / "build" / "release" / "run-model")


class Program:
    """Runs the program under test."""

    def __init__(self, path: Path):
        self.path = path

    def command(self, *arguments):
        return [str(self.path), *(str(a) for a in arguments)]

    def run(self, *arguments, code=0, timeout=300, env=None, cwd=None, measured=False):
        """Runs and checks the exit code; `code=None` takes any that is not a signal. `measured`:
        from a small shell, since a program's peak memory begins with that of who starts it."""
        shell = ["sh", "-c", '"$@"; exit $?', "sh"] if measured else []
        done = subprocess.run(
            shell + self.command(*arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
            env=None if env is None else {**os.environ, **env},
        )
        told = f"{' '.join(done.args)}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert done.returncode >= 0, f"ended by signal {-done.returncode}: {told}"
        if code is not None:
            assert done.returncode == code, told
        return done

    def exec(self, model, weights, inputs, outputs, folder, *options, **settings):
        """Runs `exec` on arrays; returns the outputs named, in order."""
        arguments = ["exec", model, "--weights", weights]
        for name, array in inputs.items():
            path = Path(folder) / f"in-{name}.npy"
            np.save(path, np.ascontiguousarray(array, dtype=np.float32))
            arguments += ["--input", f"{name}={path}"]
        paths = [Path(folder) / f"out-{name}.npy" for name in outputs]
        for name, path in zip(outputs, paths):
            path.unlink(missing_ok=True)
            arguments += ["--output", f"{name}={path}"]
        self.run(*arguments, *options, **settings)
        arrays = [np.load(path) for path in paths]
        assert all(a.dtype == np.float32 for a in arrays)
        return arrays

    def wav2lip(self, weights, inputs, folder, *options):
        audio, face = (t.numpy() for t in inputs)
        return self.exec(
            "wav2lip", weights, {"audio": audio, "face": face}, ["frames"], folder, *options
        )[0]

    def s3fd(self, weights, image, folder, *options):
        names = s3fd.OUTPUT_NAMES
        return self.exec("s3fd", weights, {"image": image.numpy()}, names, folder, *options)

    def ffdnet(self, weights, image, sigma, folder, *options):
        inputs = {"image": image.numpy(), "sigma": sigma.numpy()}
        return self.exec("ffdnet", weights, inputs, ["denoised"], folder, *options)[0]


@pytest.fixture(scope="session")
def program() -> Program:
    path = find_program()
    if not os.access(path, os.X_OK):
        pytest.fail(f"there is no program at {path}: build it, or set RUN_MODEL", pytrace=False)
    return Program(path.resolve())


@pytest.fixture
def elsewhere(program):
    """elsewhere(folder): a copy of the program there, which ships nothing."""

    def copy(folder):
        folder.mkdir(parents=True)
        for name in ("run-model", "run-model-media"):
            shutil.copy2(program.path.with_name(name), folder / name)
        return Program(folder / "run-model")

    return copy


@pytest.fixture
def nowhere(tmp_path):
    """An environment in which no weights are found."""
    return {"RUN_MODEL_HOME": "", "XDG_DATA_HOME": "", "HOME": str(tmp_path / "home")}


def cpu_flags():
    """What Linux says of the first CPU."""
    try:
        text = Path("/proc/cpuinfo").read_text()
        return set(re.search(r"^flags\s*:(.*)$", text, re.M)[1].split())
    except (OSError, TypeError):
        return set()


def available_levels():
    """CPU levels that must work here. Read from the machine and not asked of the program, so that a
    level that is broken is not taken for one that is missing."""
    levels, flags = ["portable"], cpu_flags()
    if platform.machine() in ("aarch64", "arm64"):
        levels.append("neon")
    if {"avx2", "fma"} <= flags:
        levels.append("avx2")
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags:
        levels.append("avx512")
    return levels


def pytest_generate_tests(metafunc):
    if "cpu" in metafunc.fixturenames:
        metafunc.parametrize("cpu", available_levels())


# What `./run.sh test --fast` runs: little time, and something of every part.
FAST = (
    "test_cli test_denoise test_exec_ffdnet test_exec_lstm test_exec_mobilenetv2 test_exec_s3fd "
    "test_import_graph test_info_onnx test_loaders test_onnx_attention test_onnx_backend "
    "test_onnx_file test_onnx_learned test_output_bits test_sequences"
).split()


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem in FAST:
            item.add_marker("fast")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than a minute")
    config.addinivalue_line("markers", "fast: part of ./run.sh test --fast")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Media and trained weights that are not in the repository."""
    named = os.environ.get("RUN_MODEL_TEST_DATA")
    path = Path(named) if named else ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("needs the shared test data: ../shared/data or RUN_MODEL_TEST_DATA")
    return path


@pytest.fixture(scope="session")
def key_tables() -> Path:
    path = ROOT.parent / "shared" / "spec" / "keys"
    if not path.is_dir():
        pytest.skip("needs the published key lists in ../shared/spec/keys")
    return path


# ---- networks with random weights, made once -----------------------------------------------------


class Network:
    """A reference network and its weights in files, each written when first asked for."""

    def __init__(self, model, folder: Path):
        self.model, self.folder = model, folder
        self.state = checkpoints.state_of(model)

    def file(self, kind: str) -> Path:
        writers = {
            "zip": ("w.pth", checkpoints.save_zip),
            "legacy": ("legacy.pth", checkpoints.save_legacy),
            "safetensors": ("w.safetensors", checkpoints.save_safetensors),
            "sharded": ("sharded", checkpoints.save_sharded),
            "training-zip": ("training.pth", checkpoints.save_training_zip),
            "training-legacy": ("training-legacy.pth", checkpoints.save_training_legacy),
            "shared-storage": (
                "views.pth",
                lambda state, path: checkpoints.save_zip(checkpoints.shared_storage(state), path),
            ),
            "shared-storage-legacy": (
                "views-legacy.pth",
                lambda state, path: checkpoints.save_legacy(
                    checkpoints.shared_storage(state), path
                ),
            ),
        }
        name, write = writers[kind]
        path = self.folder / name
        if not path.exists():
            write(self.state, path)
        return path

    def __call__(self, *inputs):
        with torch.no_grad():
            return self.model(*inputs)


def networks(make):
    """A fixture: what `make` makes of its arguments as a Network, once for the same ones."""

    @pytest.fixture(scope="session")
    def fixture(tmp_path_factory):
        @functools.cache
        def get(*arguments, **named):
            return Network(make(*arguments, **named), tmp_path_factory.mktemp(make.__name__))

        return get

    return fixture


wav2lip_network = networks(wav2lip.random_wav2lip)
syncnet_network = networks(syncnet.random_syncnet)
s3fd_network = networks(s3fd.random_s3fd)
ffdnet_network = networks(ffdnet.random_ffdnet)
mobilenetv2_network = networks(mobilenetv2.random_mobilenetv2)
lstm_network = networks(lstm.random_classifier)


@pytest.fixture(scope="session")
def blob_detector(tmp_path_factory):
    """A narrow detector that finds the faces of reference.clips."""
    return Network(s3fd.red_blob_s3fd(), tmp_path_factory.mktemp("blob"))


# ---- video and sound ----------------------------------------------------------------------------
# Here and not in folders of their own: pytest knows every conftest.py by the same name, of which
# `from conftest import` then finds the last.


@pytest.fixture(scope="session")
def generator(wav2lip_network):
    """A small network for lip-sync."""
    return wav2lip_network(1 / 16, seed=2)


@pytest.fixture(scope="session")
def voices(tmp_path_factory):
    """voices(seconds): a wav of that length, made once."""
    folder = tmp_path_factory.mktemp("voices")

    def get(seconds):
        path = folder / f"{seconds:.4f}.wav"
        return path if path.exists() else clips.write_voice(path, seconds)

    return get


@pytest.fixture
def lipsync(program, generator, tmp_path):
    """lipsync(face, voice, arguments): runs, returns the result file and the finished process."""

    def run(face, voice, *arguments, name="out.mkv", **settings):
        out = tmp_path / name
        done = program.run(
            *["wav2lip", "--face", face, "--audio", voice, "--outfile", out],
            *["--checkpoint_path", generator.file("zip"), *arguments],
            **settings,
        )
        return out, done

    return run


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    """The media folder, compiled."""
    import media_library  # beside the tests that ask for it

    return media_library.build(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="session")
def ffmpeg():
    """ffmpeg(arguments): what it writes to its standard output."""
    if not shutil.which("ffmpeg") or not shutil.which("ffprobe"):
        pytest.skip("needs ffmpeg and ffprobe")
    return clips.ffmpeg


# ---- comparison ---------------------------------------------------------------------------------


def relative_error(ours, reference) -> float:
    """max |ours - reference| / max |reference|, NaN counted as infinite."""
    ours = np.asarray(ours, dtype=np.float64)
    reference = np.asarray(reference, dtype=np.float64)
    assert ours.shape == reference.shape, f"{ours.shape} is not {reference.shape}"
    difference = np.abs(ours - reference)
    if not np.isfinite(difference).all():
        return float("inf")
    return float(difference.max() / np.abs(reference).max())


def assert_network(ours, reference, what=""):
    error = relative_error(ours, reference)
    assert error <= NETWORK_TOLERANCE, f"{what}: relative error {error:.2e}"


def json_lines(text: str):
    return [json.loads(line) for line in text.splitlines() if line.strip()]

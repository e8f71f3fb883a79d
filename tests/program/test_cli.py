"""The command line: help, exit codes, one-sentence errors, JSON, hostile input to exec."""

import csv
import json
import re
import subprocess

import numpy as np
import pytest

from conftest import json_lines
from reference import clips, wav2lip

COMMANDS = ["wav2lip", "latent-wav2lip", "ffdnet", "exec", "info", "compare", "convert", "bench",
            "list"]  # fmt: skip
BOX = (30, 100, 50, 110)


def one_sentence(done, code):
    assert done.returncode == code
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("run-model")
    return lines[0]


# ---- help and version --------------------------------------------------------------------------


def test_help(program):
    text = program.run("--help").stdout
    assert all(re.search(rf"^  {name} ", text, re.M) for name in [*COMMANDS, "s3fd"])
    for name in COMMANDS:
        done = program.run(name, "--help")
        assert re.match(rf"run-model {name}[ \n]", done.stdout)
        assert "--threads" in done.stdout and done.stderr == ""
        assert done.stdout.count("--threads") == 1
        assert max(map(len, done.stdout.splitlines())) <= 100
        assert program.run(name, "-h").stdout == done.stdout
    # Help asks for nothing else to be right.
    assert program.run("wav2lip", "--face", "nowhere", "--help").stdout


def test_help_names_every_option_of_the_original(program):
    text = program.run("wav2lip", "--help").stdout
    names = "checkpoint_path face audio outfile static fps pads face_det_batch_size"
    names += " wav2lip_batch_size resize_factor crop box rotate nosmooth"
    assert all(f"--{name} " in text.replace("\n", " ") for name in names.split())


def test_version(program):
    text = program.run("--version").stdout
    assert re.match(r"run-model \d+\.\d+\.\d+\n", text)
    assert "compiler: " in text and "built: " in text and "portable" in text
    assert "features known: avx2 fma" in text


@pytest.mark.parametrize("name", ["RML_CPU", "RML_CPU_MASK"])
def test_cpu_words_that_are_not_known(program, name):
    done = program.run("list", code=2, env={name: "sse9"})
    assert f"{name} " in done.stderr and "'sse9'" in done.stderr and "avx2, " in done.stderr
    assert program.run("list", env={name: ""}).stdout


def test_cpu_mask_lowers_the_level(program):
    env = {"RML_CPU_MASK": "fma,neon"}
    assert json.loads(program.run("list", "--json", env=env).stdout)["cpu"] == "portable"


# ---- wrong usage -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "--help"),
        (
            ["frobnicate"],
            "wav2lip, latent-wav2lip, sync, ffdnet, mobilenetv2, lstm, exec, info, check, compare",
        ),
        (["ffdnet"], "no image"),
        (["ffdnet", "a.png", "b.png"], "unexpected 'b.png'"),
        (["ffdnet", "a.png", "--sigma", "256"], "from 0 to 255, not 256"),
        (["ffdnet", "a.png", "--sigma=-1"], "from 0 to 255, not -1"),
        (["ffdnet", "a.png", "--sigma", "nan"], "from 0 to 255, not nan"),
        (["ffdnet", "a.png", "--mem-limit", "-1"], "--mem_limit must be from 0"),
        (["sync"], "give a VIDEO"),
        (["sync", "a", "--csv", "--json"], "exclude"),
        (["list", "extra"], "unexpected 'extra'"),
        (["list", "--jsn"], "did you mean --json"),
        (["list", "--completely-unknown"], "list --help"),
        (["list", "-x"], "-x|--x"),
        (["list", "--threads"], "--threads needs a value"),
        (["list", "--threads", "two"], "whole number, not 'two'"),
        (["list", "--threads", "-1"], "from 0 to 256"),
        (["list", "--threads", "99999999999999999999"], "whole number"),
        (["list", "--json=yes"], "takes no value"),
        (["list", "--cpu", "sse9"], "not 'sse9'"),
        (["list", "--precision", "int8"], "int8"),
        (["info"], "no file"),
        (["exec"], "wav2lip, syncnet, syncnet-latent, s3fd"),
        (["exec", "nothing", "--weights", "w"], "'nothing'"),
        (["exec", "wav2lip", "--weights", "w"], "--output"),
        (["exec", "wav2lip", "--weights", "w", "--input", "audio"], "NAME=FILE"),
        (["exec", "wav2lip", "--weights", "w", "--output", "=x"], "NAME=FILE"),
        (["bench", "nothing"], "wav2lip, syncnet, syncnet-latent, s3fd"),
        (["bench", "wav2lip", "--batch", "0"], "--batch"),
        (["bench", "wav2lip", "--threads", "1,,2"], "--threads"),
        (["bench", "wav2lip", "--shape", "face=1x6x"], "NAME=1x3x512x512"),
        (["wav2lip"], "--face"),
        (["wav2lip", "--face", "f"], "--audio is missing"),
        (["latent-wav2lip", "--face", "f"], "--audio is missing"),
        (["latent-wav2lip", "--seed=-1"], "--seed must be from 0 to 4294967295, not -1"),
        (["latent-wav2lip", "--img_size", "8"], "--img_size must be from 16"),
        (["wav2lip", "--face", ""], "--face is empty"),
        (["wav2lip", "--box", "1", "2", "3"], "four whole numbers"),
        (["wav2lip", "--box", "1", "2", "3", "x"], "not 'x'"),
        (["wav2lip", "--fps", "nan"], "number"),
        (["wav2lip", "--crf", "64"], "from 0 to 63"),
        (["wav2lip", "--face", "f", "--audio", "a", "--codec", "theora"], "not 'theora'"),
        (
            ["wav2lip", "--face", "f", "--audio", "a", "--box", 0, 9, 0, 9, "--faces", "x"],
            "give one",
        ),
    ],
    ids=lambda v: "-".join(map(str, v)) if isinstance(v, list) else None,
)
def test_wrong_usage(program, arguments, words):
    sentence = one_sentence(program.run(*arguments, code=None), 2)
    assert any(word in sentence for word in words.split("|")), sentence


def test_a_closed_output_is_a_failure(program):
    with open("/dev/full", "w") as full:
        command = program.command("list")
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output" in done.stderr


# ---- list, info, bench -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["bench", "lstm", "--runs", 1, "--seconds", 0, "--quiet"], ["lstm", 1, "--quiet"]]
)
def test_a_full_disk_is_a_failure(program, arguments):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run(
            program.command(*arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "run-model: standard output cannot be written\n"


def test_list(program):
    text = program.run("list").stdout
    assert "face (?,6,96,96)" in text and "cls6 (?,2,?,?)" in text
    line = json_lines(program.run("list", "--json").stdout)[0]
    networks = {n["name"]: n for n in line["networks"]}
    # Without the running statistics, which are no parameters.
    assert networks["wav2lip"]["parameters"] == sum(
        p.numel() for p in wav2lip.random_wav2lip(1, 1).parameters()
    )
    assert networks["s3fd"]["parameters"] == 22_459_110
    face = next(i for i in networks["wav2lip"]["inputs"] if i["name"] == "face")
    assert face == {"name": "face", "dtype": "f32", "shape": [None, 6, 96, 96]}
    assert line["precisions"][0] == "f32" and line["threads"] >= 1


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "sharded"])
def test_info(program, wav2lip_network, kind):
    network = wav2lip_network(1 / 16)
    path = network.file(kind)
    line = json_lines(program.run("info", path, "--json").stdout)[0]
    shapes = {t["name"]: (t["shape"], t["dtype"]) for t in line["tensors"]}
    dtypes = {"torch.float32": "f32", "torch.int64": "i64"}
    assert shapes == {n: (list(t.shape), dtypes[str(t.dtype)]) for n, t in network.state.items()}
    assert line["network"] == "wav2lip" and line["macs"] > 0
    assert line["numbers"] == sum(t.numel() for t in network.state.values())
    text = program.run("info", path).stdout
    assert "output_block.1.weight" in text and "network: wav2lip" in text


def test_info_of_something_else(program, tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros((2, 3), np.float16)}, tmp_path / "w.safetensors")
    text = program.run("info", tmp_path / "w.safetensors").stdout
    assert re.search(r"^f16 +a \(2,3\)$", text, re.M) and "none of the built-in" in text
    (tmp_path / "x.pth").write_text("<html>")
    sentence = one_sentence(program.run("info", tmp_path / "x.pth", code=None), 1)
    assert "x.pth" in sentence


def test_bench(program, wav2lip_network):
    arguments = ["bench", "wav2lip", "--weights", wav2lip_network(1 / 16).file("zip")]
    arguments += ["--runs", 3, "--seconds", 0, "--json", "--batch", "1,2", "--threads", "1,2"]
    lines = json_lines(program.run(*arguments).stdout)
    assert [(l["batch"], l["threads"]) for l in lines] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    names = "model precision threads cpu batch macs runs min_ms median_ms p90_ms p99_ms load_ms"
    names += " first_ms planned_bytes peak_rss_bytes"
    for line in lines:
        assert set(names.split()) <= set(line)
        assert line["runs"] == 3
        assert 0 < line["min_ms"] <= line["median_ms"] <= line["p90_ms"] <= line["p99_ms"]
    assert lines[2]["macs"] == 2 * lines[0]["macs"]


def test_bench_tells_where_it_ran(program, wav2lip_network, tmp_path):
    weights = wav2lip_network(1 / 16).file("zip")
    arguments = ["bench", "wav2lip", "--weights", weights, "--runs", 1, "--seconds", 0]
    whole = json_lines(program.run(*arguments, "--json").stdout)[0]
    rows = list(csv.DictReader(program.run(*arguments, "--csv").stdout.splitlines()))
    table = program.run(*arguments, "--markdown").stdout
    assert len(rows) == 1 and rows[0]["model"] == "wav2lip"
    for name in ("cpu_model", "version", "commit", "build"):
        assert rows[0][name] == whole[name] and whole[name] in table


def test_bench_of_a_shape(program, s3fd_network):
    arguments = ["bench", "s3fd", "--weights", s3fd_network(1 / 16).file("zip"), "--runs", 1]
    arguments += ["--seconds", 0, "--json", "--profile", "--shape"]
    small = json_lines(program.run(*arguments, "image=1x3x64x64").stdout)[0]
    large = json_lines(program.run(*arguments, "image=2x3x64x64").stdout)[0]
    assert (small["batch"], large["batch"]) == (1, 2) and large["macs"] == 2 * small["macs"]
    nodes = small["profile"]
    assert sum(n["macs"] // n["runs"] for n in nodes) == small["macs"]
    assert all(n["algorithm"] and n["precision"] == "f32" for n in nodes if n["op"] == "conv")
    assert "no input" in one_sentence(program.run(*arguments, "picture=1x3x64x64", code=None), 1)


def test_bench_of_a_batch_that_the_file_fixes(program, shared_data):
    arguments = ["bench", shared_data / "onnx" / "mnist_zoo.onnx", "--runs", 1, "--seconds", 0]
    sentence = one_sentence(program.run(*arguments, "--batch", 4, "--quiet", code=None), 1)
    assert "--batch 4" in sentence and "mnist_zoo.onnx" in sentence
    program.run(*arguments, "--batch", 1)


# ---- exec --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def network(wav2lip_network):
    return wav2lip_network(1 / 16)


@pytest.fixture(scope="session")
def arrays():
    audio, face = wav2lip.random_inputs(2, 5)
    return audio.numpy(), face.numpy()


@pytest.fixture
def run_exec(program, network, tmp_path):
    """run_exec(audio, face): saves what is given, runs, returns the output."""

    def run(audio, face, *arguments, code=0):
        out = tmp_path / "out.npy"
        for name, array in (("audio", audio), ("face", face)):
            path = tmp_path / f"{name}.npy"
            if isinstance(array, bytes):
                path.write_bytes(array)
            else:
                np.save(path, array)
            arguments += ("--input", f"{name}={path}")
        done = program.run(
            *["exec", "wav2lip", "--weights", network.file("zip"), "--output", f"frames={out}"],
            *arguments,
            code=None,
        )
        assert done.returncode == code, done.stderr
        if code:
            assert not list(tmp_path.glob("out*"))
            return one_sentence(done, code)
        return np.load(out)

    return run


def test_exec_takes_types_and_orders(run_exec, arrays):
    audio, face = arrays
    audio = np.round(audio * 4).astype(np.float32)
    face = np.round(face).astype(np.float32)
    expected = run_exec(audio, face)
    assert (run_exec(audio.astype(np.float64), face.astype(np.uint8)) == expected).all()
    assert (run_exec(audio.astype(np.int16), face.astype(np.float16)) == expected).all()
    assert (run_exec(audio.astype(">i4"), face.astype(bool)) == expected).all()
    assert (run_exec(np.asfortranarray(audio), np.asfortranarray(face)) == expected).all()


def test_exec_refuses_what_does_not_fit(run_exec, arrays):
    audio, face = arrays
    assert "(2,1,80,15)" in run_exec(audio[..., :15], face, code=1)
    assert run_exec(audio[:1], face, code=1)
    assert run_exec(audio[0], face, code=1)
    assert "<c8" in run_exec(audio.astype(np.complex64), face, code=1)
    assert "named fields" in run_exec(np.zeros(3, [("a", "<f4")]), face, code=1)
    assert "not a .npy file" in run_exec(b"something else", face, code=1)
    assert "cut short" in run_exec(audio, b"\x93NUMPY\x01\x00\xff\xff", code=1)


def test_exec_names_what_is_missing_and_unknown(program, network, tmp_path):
    arguments = ["exec", "wav2lip", "--weights", network.file("zip"), "--output", "frames=o.npy"]
    done = program.run(*arguments, "--input", "voice=a.npy", code=None, cwd=tmp_path)
    sentence = one_sentence(done, 1)
    assert "not given: audio, face" in sentence and "unknown: voice" in sentence
    arguments[-1] = "faces=o.npy"
    arguments += ["--input", "audio=a.npy", "--input", "face=b.npy"]
    sentence = one_sentence(program.run(*arguments, code=None, cwd=tmp_path), 1)
    assert "outputs frames" in sentence and "unknown: faces" in sentence


def test_exec_refuses_weights_of_another_network(program, s3fd_network, tmp_path):
    arguments = ["exec", "wav2lip", "--weights", s3fd_network(1 / 16).file("zip")]
    arguments += ["--output", "frames=o.npy", "--input", "audio=a.npy", "--input", "face=b.npy"]
    done = program.run(*arguments, code=None, cwd=tmp_path)
    assert done.returncode == 1 and "w.pth" in done.stderr


def test_exec_json(program, network, arrays, tmp_path):
    for name, array in zip(("audio", "face"), arrays):
        np.save(tmp_path / f"{name}.npy", array)
    arguments = ["exec", "wav2lip", "--weights", network.file("zip"), "--json", "--threads=2"]
    arguments += ["--input", "audio=audio.npy", "--input", "face=face.npy"]
    arguments += ["--output", 'frames=a "quoted" näme.npy', "--profile"]
    line = json_lines(program.run(*arguments, cwd=tmp_path).stdout)[0]
    assert line["outputs"] == [
        {"name": "frames", "shape": [2, 3, 96, 96], "file": 'a "quoted" näme.npy'}
    ]
    assert line["threads"] == 2 and line["macs"] > 0 and line["profile"]


# ---- wav2lip as a program to call --------------------------------------------------------------


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli clip")
    face = clips.write_video(folder / "in put.mkv", [clips.picture(i) for i in range(12)], 25)
    return face, clips.write_voice(folder / "voïce.wav", 0.4)


def test_json_is_all_there_is(program, network, clip, tmp_path):
    arguments = ["wav2lip", "--face", clip[0], "--audio", clip[1], "--box", *BOX, "--json"]
    arguments += ["--checkpoint_path", network.file("zip"), "--outfile", tmp_path / "out.mp4"]
    done = program.run(*arguments, "--quiet")
    assert done.stderr == ""
    line = json.loads(done.stdout)
    assert line["file"] == str(tmp_path / "out.mp4")
    assert (line["frames"], line["fps"], line["width"], line["height"]) == (10, 25, 160, 120)
    assert line["frames_without_face"] == 0 and line["without_face"] == []
    assert line["bytes"] == (tmp_path / "out.mp4").stat().st_size
    assert set(line["stage_ms"]) == set("decode detect sound crop network paste encode".split())
    assert line["video_seconds"] == pytest.approx(0.4) and line["codec"] == "h264"


def test_one_line_at_the_end(program, network, clip, tmp_path):
    out = tmp_path / "out.mp4"
    arguments = ["wav2lip", "--face", clip[0], "--audio", clip[1], "--box", *BOX]
    arguments += ["--checkpoint_path", network.file("zip"), "--outfile", out]
    arguments += ["--no_colour_match"]  # random weights leave a seam, which is worth a remark
    done = program.run(*arguments)
    assert done.stdout.startswith(f"{out}: 10 frames, 0.40 s") and done.stdout.count("\n") == 1
    # Work of less than two seconds shows no progress.
    assert done.stderr == ""


def test_dashes_and_underscores(program, network, clip, tmp_path):
    results = []
    for i, names in enumerate((("--checkpoint_path", "--resize_factor", "--wav2lip_batch_size"),
                               ("--checkpoint-path", "--resize-factor", "--wav2lip-batch-size"))):
        out = tmp_path / f"{i}.mkv"
        arguments = ["wav2lip", f"--face={clip[0]}", "--audio", clip[1], "--codec=ffv1"]
        arguments += [names[0], network.file("zip"), f"{names[1]}=2", names[2], 3]
        program.run(*arguments, "--box", 10, 50, 20, 60, "--outfile", out)
        results.append(clips.read_video(out))
    assert results[0][0].shape == (60, 80, 3)
    assert all((a == b).all() for a, b in zip(*results, strict=True))


def test_result_is_not_the_input(program, network, clip, tmp_path):
    face = tmp_path / "in.mkv"
    face.write_bytes(clip[0].read_bytes())
    arguments = ["wav2lip", "--face", face, "--audio", clip[1], "--box", *BOX]
    arguments += ["--checkpoint_path", network.file("zip"), "--codec", "ffv1"]
    sentence = one_sentence(
        program.run(*arguments, "--outfile", tmp_path / "." / "in.mkv", code=None), 1
    )
    assert "in.mkv" in sentence
    assert face.read_bytes() == clip[0].read_bytes()


def test_nobody_reads_the_messages(program, network, clip, tmp_path):
    """As with `| head`: the work goes on, and no half file is left."""
    voice = clips.write_voice(tmp_path / "voice.wav", 20.0)
    arguments = ["--face", clip[0], "--audio", voice, "--box", *BOX, "--cpu", "portable"]
    arguments += ["--checkpoint_path", network.file("zip"), "--outfile", tmp_path / "out.mp4"]
    command = program.command("wav2lip", *arguments)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    process.stderr.close()
    assert process.wait(timeout=300) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.mp4", "voice.wav"]


def test_static_as_the_original_reads_it(program, network, clip, tmp_path):
    """Any text after --static is true there; by default "False" means what it says."""
    for extra, still in ((["--static", "False"], False), (["--static"], True),
                         (["--compat", "--static", "False"], True)):
        out = tmp_path / "out.mkv"
        arguments = ["wav2lip", "--face", clip[0], "--audio", clip[1], "--box", *BOX, *extra]
        arguments += ["--checkpoint_path", network.file("zip"), "--codec", "ffv1"]
        program.run(*arguments, "--outfile", out)
        stamps = {clips.read_stamp(f) for f in clips.read_video(out)}
        assert (stamps == {0}) == still


def test_faces_of_another_clip(elsewhere, nowhere, network, blob_detector, clip, tmp_path):
    program = elsewhere(tmp_path / "bin")  # where no detector is found by itself
    faces = tmp_path / "faces.json"
    frames = [clips.picture(i, face=clips.moving_face(i)) for i in range(12)]
    face = clips.write_video(tmp_path / "face.mkv", frames, 25)
    arguments = ["--audio", clip[1], "--checkpoint_path", network.file("zip"), "--faces", faces]
    arguments += ["--outfile", tmp_path / "out.mp4"]
    detector = ["--s3fd", blob_detector.file("zip")]
    program.run("wav2lip", "--face", face, *arguments, *detector)
    document = json.loads(faces.read_text())
    records = document["faces"]
    assert [r["frame"] for r in records] == list(range(10))
    assert all(r["source"] == "detected" and r["score"] > 0.5 for r in records)
    assert records[3]["time"] == pytest.approx(0.12)
    sentence = one_sentence(
        program.run("wav2lip", "--face", clip[0], *arguments, code=None, env=nowhere), 1
    )
    assert "another clip" in sentence
    # A longer voice needs faces that are not in the file yet: found when a detector is there.
    longer = clips.write_voice(tmp_path / "longer.wav", 1.0)
    arguments[1] = longer
    sentence = one_sentence(
        program.run("wav2lip", "--face", face, *arguments, code=None, env=nowhere), 1
    )
    assert "first 10 frames" in sentence and "--s3fd" in sentence
    program.run("wav2lip", "--face", face, *arguments, *detector)
    assert len(json.loads(faces.read_text())["faces"]) == 12
    # A box put in by hand is taken as it is.
    document["faces"][0]["box"] = [10, 20, 60, 90]
    document["faces"][0]["source"] = "me"
    faces.write_text(json.dumps(document))
    arguments[1] = clip[1]
    arguments += ["--nosmooth", "--pads", 0, 0, 0, 0, "--codec", "ffv1"]
    arguments[arguments.index("--outfile") + 1] = tmp_path / "hand.mkv"
    program.run("wav2lip", "--face", face, *arguments)
    changed = (clips.read_video(tmp_path / "hand.mkv")[0] != frames[0]).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert rows.min() >= 20 and rows.max() < 90 and columns.min() >= 10 and columns.max() < 60


UNUSED = "taken as by every command; changes nothing here"


def test_options_that_change_nothing_say_so(program, lstm_network, tmp_path):
    """Every option of all commands either shows in what a command does, or its help says not."""
    weights = lstm_network().file("zip")
    np.save(tmp_path / "x.npy", np.ones((1, 6, 1), np.float32))
    program.run("convert", "lstm", "-w", weights, "-o", tmp_path / "net.onnx", "--quiet")
    commands = {
        "list": [], "info": [weights], "check": [tmp_path / "net.onnx"],
        "compare": [weights, tmp_path / "net.onnx"],
        "convert": ["lstm", "-w", weights, "-o", tmp_path / "again.onnx"],
        "exec": [tmp_path / "net.onnx", "-i", f"seq_input={tmp_path / 'x.npy'}", "-o",
                 f"my_output={tmp_path / 'y.npy'}"],
        "bench": [tmp_path / "net.onnx", "--runs", 1, "--seconds", 0],
    }
    values = {"threads": [1], "cpu": ["portable"], "precision": ["f32"], "profile": []}
    for command, arguments in commands.items():
        told = program.run(command, "--help").stdout
        before = program.run(command, *arguments)
        for name, value in values.items():
            line = next(l for l in told.split("\n") if l.startswith(f"  --{name}"))
            after = program.run(command, *arguments, f"--{name}", *value)
            if UNUSED in line:
                assert after.stdout == before.stdout and after.stderr == before.stderr, line
            elif name == "profile":
                assert len(after.stdout + after.stderr) > len(before.stdout + before.stderr) + 99

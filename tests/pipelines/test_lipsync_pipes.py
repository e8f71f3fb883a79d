"""`wav2lip` whose voice and face come out of pipes, which are read once."""

import fcntl
import os
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from reference import clips

BOX = ["--box", 30, 100, 50, 110]


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    frames = [clips.picture(i) for i in range(12)]
    return clips.write_video(tmp_path_factory.mktemp("face") / "face.mkv", frames, 25)


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    return clips.write_voice(tmp_path_factory.mktemp("voice") / "voice.wav", 0.8)


@pytest.fixture
def start(program, generator, tmp_path):
    """start(face, voice): the process, begun; its result is tmp_path / "out.mkv". Its temporary
    files lie in tmp_path / "spool"."""
    (tmp_path / "spool").mkdir()
    running = []

    def begin(face, voice, stdin=subprocess.DEVNULL, **settings):
        command = program.command(
            *["wav2lip", "--face", face, "--audio", voice, "--outfile", tmp_path / "out.mkv"],
            *["--checkpoint_path", generator.file("zip"), *BOX, "--codec", "ffv1", "--quiet"],
        )
        environment = {**os.environ, "TMPDIR": str(tmp_path / "spool")}
        process = subprocess.Popen(command, stdin=stdin, stderr=subprocess.PIPE, env=environment,
                                   **settings)
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def fifo(tmp_path):
    def make(name):
        os.mkfifo(tmp_path / name)
        return tmp_path / name

    return make


def ends(process, code=0, within=60):
    """Waits, and returns what it said."""
    said = process.communicate(timeout=within)[1].decode()
    assert process.returncode == code, said
    return said


@pytest.fixture(scope="module")
def expected(program, generator, face, voice, tmp_path_factory):
    out = tmp_path_factory.mktemp("expected") / "out.mkv"
    program.run("wav2lip", "--face", face, "--audio", voice, "--outfile", out,
                "--checkpoint_path", generator.file("zip"), *BOX, "--codec", "ffv1")
    return clips.read_video(out)


def check_result(folder, expected):
    result = clips.read_video(folder / "out.mkv")
    assert all((a == b).all() for a, b in zip(result, expected, strict=True))
    assert clips.stream(folder / "out.mkv", "audio")["codec_name"] == "pcm_s16le"
    assert not list((folder / "spool").iterdir())


def pour(path, data):
    """Writes in the background."""
    threading.Thread(target=path.write_bytes, args=(data,), daemon=True).start()


def wait_until_read(process, source, seconds=30):
    until = time.monotonic() + seconds
    files = Path(f"/proc/{process.pid}/fd")
    while source not in [file.resolve() for file in files.iterdir()]:
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.02)


def test_the_voice_from_stdin(start, face, voice, expected, tmp_path):
    process = start(face, "/dev/stdin", stdin=subprocess.PIPE)
    process.stdin.write(voice.read_bytes())
    process.stdin.close()
    process.stdin = None
    ends(process)
    check_result(tmp_path, expected)
    # not a pipe, but a file by that name
    with voice.open() as file:
        ends(start(face, "/dev/stdin", stdin=file))
    check_result(tmp_path, expected)


def test_both_from_fifos(start, fifo, face, voice, expected, tmp_path):
    first, second = fifo("face.fifo"), fifo("voice.fifo")
    process = start(first, second)
    pour(first, face.read_bytes())
    pour(second, voice.read_bytes())
    ends(process)
    check_result(tmp_path, expected)


def test_one_program_writes_both(start, fifo, face, voice, expected, tmp_path):
    """It opens both before it writes either, and the pipes hold less than it writes."""
    first, second = fifo("face.fifo"), fifo("voice.fifo")
    process = start(first, second)
    with second.open("wb") as sound, first.open("wb") as pictures:
        for pipe in (sound, pictures):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        sound.write(voice.read_bytes()[:20_000])
        pictures.write(face.read_bytes())
        sound.write(voice.read_bytes()[20_000:])
    ends(process)
    check_result(tmp_path, expected)


def test_process_substitution(program, generator, face, voice, expected, tmp_path):
    (tmp_path / "spool").mkdir()
    command = [program.path, "wav2lip", "--face", f"<(cat {face})", "--audio", f"<(cat {voice})"]
    command += ["--outfile", tmp_path / "out.mkv", "--checkpoint_path", generator.file("zip"), *BOX]
    command += ["--codec", "ffv1", "--quiet"]
    subprocess.run(["bash", "-c", " ".join(map(str, command))], check=True,
                   env={**os.environ, "TMPDIR": str(tmp_path / "spool")})
    check_result(tmp_path, expected)


def test_one_pipe_for_both(start, face, voice, expected, tmp_path):
    both = tmp_path / "both.mkv"
    inputs = ["-i", face, "-i", voice]
    subprocess.run(["ffmpeg", "-v", "error", *inputs, "-c", "copy", both], check=True)
    process = start("/dev/stdin", "/dev/fd/0", stdin=subprocess.PIPE)
    process.stdin.write(both.read_bytes())
    process.stdin.close()
    process.stdin = None
    ends(process)
    check_result(tmp_path, expected)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("begun", [None, 0, 30_000])
def test_a_pipe_without_an_end_can_be_stopped(start, fifo, face, voice, tmp_path, stop, begun):
    """Nobody opens it, or whoever does writes nothing or too little."""
    source = fifo("voice.fifo")
    process = start(face, source)
    writer = None
    if begun is not None:
        writer = os.open(source, os.O_WRONLY)
        os.write(writer, voice.read_bytes()[:begun])
    wait_until_read(process, source)
    process.send_signal(stop)
    said = ends(process, -9 if stop == signal.SIGKILL else 1, within=5)
    assert stop == signal.SIGKILL or "voice.fifo: stopped before its end" in said
    if writer is not None:
        os.close(writer)
    assert not list((tmp_path / "spool").iterdir()) and not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize("data, words", [(b"", "nothing comes out of the pipe"),
                                         (b"<html>" * 50, "not a media file")])
@pytest.mark.parametrize("which", ["face", "voice"])
def test_pipes_with_nothing_of_use(start, fifo, face, voice, tmp_path, data, words, which):
    source = fifo(f"{which}.fifo")
    process = start(*((source, voice) if which == "face" else (face, source)))
    pour(source, data)
    said = ends(process, 1)
    assert said.count("\n") == 1 and f"{source}: {words}" in said and "/proc" not in said
    assert not list((tmp_path / "spool").iterdir())


def test_no_room_for_the_pipe(start, fifo, face, voice, tmp_path):
    source = fifo("voice.fifo")

    def little():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))

    process = start(face, source, preexec_fn=little)
    pour(source, voice.read_bytes())
    assert f"cannot be kept in {tmp_path / 'spool'}" in ends(process, 1)
    (tmp_path / "spool").rmdir()
    process = start(face, source)
    assert f"cannot be kept in {tmp_path / 'spool'}" in ends(process, 1)

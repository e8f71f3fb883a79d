"""What the tests of the lip-sync command without --compat share."""

import pytest

from reference import clips


@pytest.fixture(scope="session")
def generator(wav2lip_network):
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

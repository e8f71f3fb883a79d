"""What the media tests share: the compiled media folder, and ffmpeg."""

import shutil
import subprocess

import pytest

import media_library


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    return media_library.build(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="session")
def ffmpeg():
    """ffmpeg(arguments): what it writes to its standard output."""
    if not shutil.which("ffmpeg") or not shutil.which("ffprobe"):
        pytest.skip("needs ffmpeg and ffprobe")

    def run(*arguments):
        done = subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)],
                              capture_output=True)
        if done.returncode:
            pytest.skip(f"this ffmpeg cannot: {done.stderr.decode()[:200]}")
        return done.stdout

    return run

"""Memory does not grow with the length of the clip, and stays near what a network needs."""

import os
import subprocess
import sys

import pytest

from conftest import json_lines
from reference import clips

BOX = (300, 780, 700, 1180)
LENGTHS = (10, 120)  # seconds
# Between a process and the program stands a small one: the peak that the kernel reports starts with
# the parent's, and pytest with PyTorch is bigger than anything measured here.
LAUNCHER = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def peak_bytes(command):
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1]) * 1024


@pytest.fixture(scope="module")
def clips_1080p(tmp_path_factory):
    """The same ten seconds once and twelve times, with B frames. Five frames a second keep the test
    short, and are enough to fill every buffer on the way within ten seconds."""
    folder = tmp_path_factory.mktemp("long")
    short = folder / "10.mp4"
    source = ["-f", "lavfi", "-i", f"testsrc2=size=1920x1080:rate=5:duration={LENGTHS[0]}"]
    coder = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "20"]
    ffmpeg = ["ffmpeg", "-v", "error", "-y"]
    subprocess.run([*ffmpeg, *source, *coder, "-pix_fmt", "yuv420p", str(short)], check=True)
    long = folder / "120.mp4"
    repeat = ["-stream_loop", str(LENGTHS[1] // LENGTHS[0] - 1), "-i", str(short), "-c", "copy"]
    subprocess.run([*ffmpeg, *repeat, str(long)], check=True)
    return short, long


@pytest.fixture
def peak_of_clip(program, wav2lip_network, tmp_path):
    def run(face, seconds, *arguments):
        """With a voice of a rate and a channel count that must be converted."""
        voice = clips.write_voice(tmp_path / "voice.wav", seconds, 44100, 2)
        out = tmp_path / "out.mkv"
        command = program.command(
            *["wav2lip", "--face", face, "--audio", voice, "--box", *BOX, "--codec", "mjpeg"],
            *["--checkpoint_path", wav2lip_network(1 / 16).file("zip"), "--outfile", out],
            *["--threads", 2, "--quiet", "--wav2lip_batch_size", 16, *arguments],
        )
        peak = peak_bytes(command)
        out.unlink()
        return peak

    return run


def assert_no_growth(measure, short, long):
    """What grows does so in every run; how full the queues between threads come to be does not."""
    peaks = [measure(*short)], [measure(*long)]
    if peaks[1][0] > 1.05 * peaks[0][0]:
        peaks[0].append(measure(*short))
        peaks[1].append(measure(*long))
    assert min(peaks[1]) <= 1.05 * max(peaks[0]), f"{peaks[0]} bytes, and {peaks[1]} for longer"


def test_peak_for_10_and_120_seconds(peak_of_clip, clips_1080p):
    # The voice ends before the video, so that nothing is repeated.
    short, long = ((face, s - 0.3) for face, s in zip(clips_1080p, LENGTHS, strict=True))
    assert_no_growth(peak_of_clip, short, long)


@pytest.mark.parametrize("mode", [[], ["--compat"]], ids=["back-and-forth", "compat"])
def test_repeating_a_short_clip_keeps_nothing(peak_of_clip, clips_1080p, mode):
    """Two minutes of voice over ten seconds of video: decoded again, not kept. Playing backwards
    needs a piece of fixed size, so both voices are long enough to come to it."""
    short, long = ((clips_1080p[0], seconds, *mode) for seconds in (20, 120))
    assert_no_growth(peak_of_clip, short, long)


@pytest.mark.parametrize("batch", [1, 16])
def test_full_network_stays_near_its_weights(program, wav2lip_network, batch):
    """Resident memory below 1.3 times weights plus activations, mapped file included."""
    network = wav2lip_network(1.0)
    weights = sum(v.numel() * v.element_size() for v in network.state.values())
    arguments = ["bench", "wav2lip", "--weights", network.file("zip"), "--batch", batch]
    line = json_lines(program.run(*arguments, "--runs", 1, "--seconds", 0, "--json").stdout)[-1]
    limit = 1.3 * (weights + line["planned_bytes"])
    command = program.command(*arguments, "--runs", 1, "--seconds", 0, "--json")
    peak = peak_bytes(command)
    assert peak <= limit, f"peak {peak / 1e6:.0f} MB, limit {limit / 1e6:.0f} MB"
    # Activations are reused: what is planned is far below the sum of all of them.
    assert line["planned_bytes"] <= batch * 12e6 + 40e6, line["planned_bytes"]
    assert os.path.getsize(network.file("zip")) > weights

"""What a mouth does where nobody speaks, and how far it moves: drawn heads, the shipped weights.

How far a mouth is open is read as tools/training/evaluate_wav2lip.py does: by a regression that has
learned it from drawn frames of the same head, never from what the program made.
"""

import json
import sys

import cv2
import numpy as np
import pytest
import soundfile
from conftest import ROOT

from reference import clips

sys.path.insert(0, str(ROOT / "tools" / "training"))
import evaluate_wav2lip as drawn  # noqa: E402
import scenes  # noqa: E402

SIZE, RATE = 128, 16000
SPEECH, PAUSE = 1.6, 2.0  # seconds: the voice pauses, and goes on
SPOKEN, QUIET = slice(4, 36), slice(45, 84)  # frames of the voice, and within the pause
WEIGHTS = ROOT / "data" / "weights" / "wav2lip.safetensors"
BOX = ["--box", 30, 100, 50, 110]


def draw(mouth):
    """The same head in the same pose with this mouth (open, spread), and its box."""
    frames, boxes = scenes.clip(np.random.default_rng([3, 33]), np.array([mouth]), (SIZE, SIZE))
    return frames[0], boxes[0]


def write_voice(path):
    """A voice with a pause, in which somebody else is heard from afar, who moves the network."""
    voice = soundfile.read(ROOT / "data" / "demo" / "voice.wav")[0]
    at = int(SPEECH * RATE)
    pause = np.zeros(int(PAUSE * RATE))
    pause[3000:3000 + at] = 0.015 * voice[:at][::-1]
    whole = np.concatenate([voice[:at], pause, voice[at:at + RATE // 2]])
    soundfile.write(path, whole + np.random.default_rng(1).normal(0, 0.001, len(whole)), RATE)
    return path


class Head:
    def __init__(self, folder):
        rng = np.random.default_rng(5)
        mouths = [(0.1 * (i % 11), rng.uniform(-1, 1)) for i in range(44)]
        pictures, boxes = zip(*[draw(mouth) for mouth in mouths])
        self.box = boxes[0]
        self.read = drawn.learn_opening(drawn.mouth_pixels(pictures, boxes),
                                        np.array(mouths)[:, 0])
        self.face = folder / "face.png"
        cv2.imwrite(str(self.face), draw((0.6, 0.2))[0])
        self.voice = write_voice(folder / "voice.wav")
        self.spoken = folder / "spoken.wav"
        soundfile.write(self.spoken, soundfile.read(self.voice)[0][:int(SPEECH * RATE)], RATE)


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    return Head(tmp_path_factory.mktemp("head"))


@pytest.fixture
def speak(program, head, tmp_path):
    """speak(voice, arguments): the frames, the opening of the mouth in each, the report."""

    def run(voice, *arguments):
        out = tmp_path / "out.mkv"
        x1, y1, x2, y2 = (int(v) for v in head.box)
        done = program.run("wav2lip", "--face", head.face, "--audio", voice, "--box", y1,
                           y2 + drawn.PADS[1], x1, x2, "--checkpoint_path", WEIGHTS, "--codec",
                           "ffv1", "--outfile", out, "--json", *arguments)
        frames = np.array(clips.read_video(out))
        return (frames, head.read(drawn.mouth_pixels(frames, [head.box] * len(frames))),
                json.loads(done.stdout))

    return run


def spread(opening):
    return np.ptp(np.percentile(opening[SPOKEN], [5, 95]))


def test_close_shuts_the_mouth(speak, head):
    _, opening, report = speak(head.voice)  # is the default
    _, net, net_report = speak(head.voice, "--silence", "net")
    shut = np.percentile(net[SPOKEN], 5)  # lips that the voice shuts
    print([np.abs(o[QUIET] - shut).max() / spread(opening) for o in (opening, net)])
    assert np.abs(opening[QUIET] - shut).max() < 0.1 * spread(opening)
    assert np.abs(net[QUIET] - shut).max() > 0.1 * spread(opening)
    assert np.corrcoef(opening[SPOKEN], net[SPOKEN])[0, 1] > 0.999
    assert 40 <= report["silent_frames"] <= 50 and report["network_frames"] == report["frames"]
    assert net_report["silent_frames"] == 0


def test_mouth_strength_scales(speak, head):
    frames, opening = {}, {}
    for x in (0, 0.5, 1, 2):
        arguments = ["--silence", "net", "--mouth-strength", x]
        frames[x], opening[x], _ = speak(head.spoken, *arguments)
    ranges = [spread(opening[x]) for x in (0, 0.5, 1, 2)]
    assert ranges[0] < 1e-6 and ranges[1] < 0.7 * ranges[2] and ranges[3] > 1.4 * ranges[2]
    assert ranges[1] > 0.3 * ranges[2]
    assert (frames[1] == speak(head.spoken, "--silence", "net")[0]).all()
    # at 0 it is the mouth of silence
    closed, _, _ = speak(head.voice, "--silence", "close")
    assert (frames[0][10] == closed[60]).all()


def test_keep_leaves_the_film(lipsync, head, tmp_path):
    pictures = [clips.picture(i) for i in range(40)]
    face = clips.write_video(tmp_path / "in.mkv", pictures, 25)
    arguments = [*BOX, "--codec", "ffv1", "--json"]
    out, done = lipsync(face, head.voice, *arguments, "--silence", "keep")
    report, frames = json.loads(done.stdout), clips.read_video(out)
    turned = pictures[::-1] + pictures[1:-1]  # back and forth
    film = [(pictures + turned[1:])[i] for i in range(len(frames))]
    kept = np.array([(a == b).all() for a, b in zip(frames, film, strict=True)])
    assert report["silent_frames"] == kept.sum() == len(frames) - report["network_frames"]
    first, last = np.flatnonzero(kept[20:100])[[0, -1]] + 20  # the pause
    assert kept[first:last + 1].all() and 41 <= first <= 47 and 85 <= last <= 90
    # three frames of fading: the new face comes in by shares
    out, _ = lipsync(face, head.voice, *arguments, "--silence", "net", name="net.mkv")
    net = clips.read_video(out)

    def change(i):
        return np.abs(frames[i].astype(int) - film[i]).mean() / np.abs(
            net[i].astype(int) - film[i]).mean()

    assert change(first - 5) == 1
    assert 0.02 < change(first - 1) < change(first - 2) < 0.98


def test_the_original_knows_nothing_of_it(lipsync, head, tmp_path):
    face = clips.write_video(tmp_path / "in.mkv", [clips.picture(i) for i in range(8)], 25)
    for more in (["--silence", "close"], ["--silence", "keep"], ["--mouth-strength", 0.5]):
        _, done = lipsync(face, head.spoken, *BOX, "--compat", *more, code=2)
        assert "--compat moves the mouth as the original does" in done.stderr
    _, done = lipsync(face, head.spoken, *BOX, "--compat", "--json")
    assert json.loads(done.stdout)["silent_frames"] == 0
    _, done = lipsync(face, head.spoken, *BOX, "--silence", "shut", code=2)
    assert "--silence is net, keep or close, not 'shut'" in done.stderr
    _, done = lipsync(face, head.spoken, *BOX, "--mouth-strength", 2.5, code=2)

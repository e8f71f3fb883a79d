"""`--voice 1=a.wav --voice 2=b.wav`: two drawn heads that cross keep their voices, in one pass.

How far mouths are open is read as in test_lipsync_mouth.py, and compared with what the pieces of
the demo's voice ask for.
"""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import soundfile
from conftest import ROOT

from reference import clips, demo_voice

sys.path.insert(0, str(ROOT / "tools" / "training"))
import evaluate_wav2lip as drawn  # noqa: E402
import scenes  # noqa: E402

SIDE, WIDTH, HEIGHT, COUNT, STEP = 112, 352, 128, 48, 5
RATE = demo_voice.RATE
WEIGHTS = ROOT / "data" / "weights" / "wav2lip.safetensors"
S3FD = ROOT / "data" / "weights" / "s3fd.safetensors"


class Head:
    """A head whose mouth stands still, on a tile of its own that moves from left to right or back;
    and a voice."""

    def __init__(self, folder, index, seed, first):
        self.index = index

        def draw(mouth):
            frames, boxes = scenes.clip(np.random.default_rng([4, seed]), np.array([mouth]),
                                        (SIDE, SIDE))
            return frames[0], boxes[0]

        self.tile, self.box = draw((0.5, 0.2))
        rng = np.random.default_rng(5)
        mouths = [(0.1 * (i % 11), rng.uniform(-1, 1)) for i in range(44)]
        pictures, boxes = zip(*[draw(mouth) for mouth in mouths])
        self.read = drawn.learn_opening(drawn.mouth_pixels(pictures, boxes),
                                        np.array(mouths)[:, 0])
        self.opening = demo_voice.opening(first, COUNT)
        self.samples = demo_voice.samples(first, COUNT)
        self.voice = folder / f"voice{index}.wav"
        soundfile.write(self.voice, self.samples, RATE)

    def x(self, frame):
        way = STEP * frame
        return way if self.index == 0 else WIDTH - SIDE - way

    def tiles(self, frames):
        return np.array([f[8 : 8 + SIDE, self.x(i) : self.x(i) + SIDE]
                         for i, f in enumerate(frames)])

    def said(self, frames):
        return self.read(drawn.mouth_pixels(self.tiles(frames), [self.box] * len(frames)))


class Pair:
    def __init__(self, folder):
        self.heads = [Head(folder, 0, 11, 10), Head(folder, 1, 14, 80)]
        self.frames = []
        for i in range(COUNT):
            frame = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
            for head in self.heads:  # the second is in front
                frame[8 : 8 + SIDE, head.x(i) : head.x(i) + SIDE] = head.tile
            self.frames.append(frame)
        self.clip = clips.write_video(folder / "pair.mkv", self.frames, 25)
        self.faces = folder / "faces.json"

    def apart(self):
        """Frames in which none hides the other."""
        return [i for i in range(COUNT)
                if abs(self.heads[0].x(i) - self.heads[1].x(i)) >= SIDE]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return Pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def speak(program, pair, tmp_path):
    """speak(arguments): the frames and the report; faces are found once, by the drawn detector."""

    def run(*arguments, code=0):
        out = tmp_path / "out.mkv"
        done = program.run("wav2lip", "--face", pair.clip, "--checkpoint_path", WEIGHTS, "--s3fd",
                           S3FD, "--faces", pair.faces, "--codec", "ffv1", "--outfile", out,
                           "--json", *arguments, code=code)
        if code:
            assert not out.exists()
            return done
        return np.array(clips.read_video(out)), json.loads(done.stdout), out

    return run


def test_two_who_cross_keep_their_voices(speak, pair, program):
    one, other = pair.heads
    voices = ["--voice", f"1={one.voice}", "--voice", f"2={other.voice}"]
    frames, report, out = speak(*voices)
    assert report["frames"] == len(frames) == COUNT
    apart = pair.apart()
    assert apart[0] == 0 and apart[-1] == COUNT - 1 and len(apart) < COUNT - 10
    for part in (apart, [i for i in apart if i > COUNT // 2]):  # all, and behind the crossing
        for me, you in ((one, other), (other, one)):
            said = me.said(frames)[part]
            mine, yours = (np.corrcoef(said, who.opening[part])[0, 1] for who in (me, you))
            print(me.index, len(part), mine, yours)
            assert mine > 0.6 and yours < mine - 0.3, (me.index, mine, yours)
    # What is heard is the sum.
    heard = soundfile.read(sound_of(out))[0]
    both = one.samples + other.samples
    count = min(len(heard), len(both))
    assert abs(count - len(both)) < RATE // 25
    assert np.abs(heard[:count] - np.clip(both[:count], -1, 1)).max() < 3e-4
    # Each mouth is what it is when it speaks alone; nobody else changes.
    alone, _, _ = speak("--voice", f"2={other.voice}")
    left = one.tiles(alone)[apart]
    assert (left == one.tiles(pair.frames)[apart]).all()
    same = other.tiles(alone)[apart].astype(int) - other.tiles(frames)[apart]
    assert np.abs(same).max() == 0


def sound_of(path):
    wav = path.with_suffix(".wav")
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", path, "-c:a", "pcm_f32le", wav],
                   check=True)
    return wav


def test_which_and_voice_are_one(speak, pair):
    """The same face with the same sound, said in two ways."""
    voice = pair.heads[0].voice
    a, _, _ = speak("--which", "left", "--audio", voice)
    b, _, _ = speak("--voice", f"1={voice}")
    assert (a == b).all()


def test_final_audio_is_heard_instead(speak, pair, tmp_path):
    one, other = pair.heads
    tone = 0.3 * np.sin(np.arange(RATE * 2) / 8)
    soundfile.write(tmp_path / "tone.wav", tone, RATE, subtype="FLOAT")
    _, _, out = speak("--voice", f"1={one.voice}", "--voice", f"2={other.voice}", "--final_audio",
                      tmp_path / "tone.wav")
    heard = soundfile.read(sound_of(out))[0]
    count = min(len(heard), len(tone))
    assert count > RATE and np.abs(heard[:count] - tone[:count]).max() < 1e-4


def test_voices_of_other_rates_and_lengths(speak, pair, tmp_path):
    """Another rate, longer than the first: all is heard, and the result is as long."""
    one, other = pair.heads
    rate = 44100
    time = np.arange(int(2.4 * rate)) / rate
    low = 0.25 * np.sin(2 * np.pi * 300 * time)
    soundfile.write(tmp_path / "low.wav", low, rate, subtype="FLOAT")
    soundfile.write(tmp_path / "one.wav", one.samples, RATE, subtype="FLOAT")
    frames, report, out = speak("--voice", f"1={tmp_path / 'one.wav'}", "--voice",
                                f"2={tmp_path / 'low.wav'}")
    assert len(frames) == 60 and abs(report["audio_seconds"] - 2.4) < 0.01
    heard = soundfile.read(sound_of(out))[0][: int(2.3 * RATE)]
    expected = 0.25 * np.sin(2 * np.pi * 300 * np.arange(len(heard)) / RATE)
    expected[: len(one.samples)] += one.samples
    assert np.abs(heard - np.clip(expected, -1, 1))[200:].max() < 2e-3


def test_two_in_a_picture(program, pair, tmp_path):
    """A still is shown again and again: both mouths are taken off before the next are put on."""
    one, other = pair.heads
    face, record = tmp_path / "face.png", tmp_path / "faces.json"
    cv2.imwrite(str(face), pair.frames[0])
    made = []
    for voices in ([one, other], [one], [other]):
        out = tmp_path / f"{len(made)}.mkv"
        numbers = [f"{who.index + 1}={who.voice}" for who in voices]
        program.run("wav2lip", "--face", face, "--checkpoint_path", WEIGHTS, "--s3fd", S3FD,
                    "--faces", record, "--codec", "ffv1", "--outfile", out,
                    *[text for number in numbers for text in ("--voice", number)])
        made.append(np.array(clips.read_video(out)).astype(int))
    both, first, second = made
    film = pair.frames[0].astype(int)
    assert (both - film == (first - film) + (second - film)).all()
    assert all(np.abs(part - film).max(-1).any((1, 2)).all() for part in (first, second))


def test_refused(speak, pair):
    voice = pair.heads[0].voice
    for arguments, words, code in [
        (["--voice", f"7={voice}"], "no face has the number 7: 2 are seen in 48 frames", 1),
        (["--voice", f"1={voice}", "--audio", voice], "--audio and --voice both say who speaks", 2),
        (["--voice", f"1={voice}", "--which", "2"], "--voice says by numbers which faces", 2),
        (["--voice", f"1={voice}", "--compat"], "--voice says by numbers which faces", 2),
        (["--voice", f"1={voice}", "--voice", f"1={voice}"], "gives face 1 two voices", 2),
        (["--voice", f"left={voice}"], "--voice is NUMBER=AUDIO", 2),
        (["--voice", voice], "--voice", 2),
        (["--voice", "1=no.wav"], "no.wav", 1),
    ]:
        done = speak(*arguments, code=code)
        assert words in done.stderr, done.stderr

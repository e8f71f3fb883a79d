"""`--voice` for two, three and eight faces, of both commands: each face is what it is when it
speaks alone, bit for bit, and nothing else of the picture changes. Voices are mono and stereo."""

import json
import subprocess

import numpy as np
import pytest
import soundfile
import torch

from reference import clips, latent
from reference.faces_file import clip_id

TILE, COUNT, FPS = 120, 6, 25
BOX = (30, 25, 90, 95)  # of the face in each tile
SECONDS = COUNT / FPS


class Row:
    """A row of faces, one in each tile, and the file that says where they are."""

    def __init__(self, folder, faces):
        self.count = faces
        self.frames = []
        for i in range(COUNT):
            tiles = [clips.picture(7 * k + i, TILE, TILE, (60 + k % 3, 60 - i % 2))
                     for k in range(faces)]
            self.frames.append(np.concatenate(tiles, 1))
        self.clip = clips.write_video(folder / f"row{faces}.mkv", self.frames, FPS)
        self.film = np.array(self.frames).astype(int)
        key = {"id": clip_id(self.clip), "width": TILE * faces, "height": TILE,
               "resize_factor": 1, "rotate": False, "crop": [0, -1, 0, -1]}
        x1, y1, x2, y2 = BOX
        rows = [{"frame": i, "number": k + 1, "box": [TILE * k + x1, y1, TILE * k + x2, y2]}
                for i in range(COUNT) for k in range(faces)]
        self.faces = folder / f"row{faces}.json"
        self.faces.write_text(json.dumps(
            {"format": "run-model faces 2", "clip": key, "faces": rows}))

    def tile(self, frames, k):
        return frames[:, :, TILE * k : TILE * (k + 1)]


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    """row(faces), made once."""
    folder, made = tmp_path_factory.mktemp("rows"), {}

    def get(faces):
        if faces not in made:
            made[faces] = Row(folder, faces)
        return made[faces]

    return get


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """Eight voices: mono and stereo, of several rates; the last is shorter than the others."""
    folder, made = tmp_path_factory.mktemp("voices"), []
    for k in range(8):
        rate, channels = (16000, 44100, 48000)[k % 3], 1 + k % 2
        made.append(clips.write_voice(folder / f"voice{k}.wav", SECONDS * (0.8 if k == 7 else 1),
                                      rate, channels, seed=20 + k))
    return made


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """networks(hears): the arguments of latent-wav2lip with random weights, made once."""
    made = {}

    def get(hears):
        if hears not in made:
            folder = tmp_path_factory.mktemp(hears)
            made[hears] = latent.Saved(latent.random_networks(hears), folder)
        return made[hears]

    return get


@pytest.fixture
def speak(program, generator, networks, tmp_path):
    """speak(kind, row, {number: voice}, arguments): the frames as integers, and the process."""

    def run(kind, row, spoken, *arguments, code=0):
        command = (["wav2lip", "--checkpoint_path", generator.file("zip")] if kind == "wav2lip"
                   else ["latent-wav2lip", *networks(kind).arguments()])
        out = tmp_path / "out.mkv"
        said = [text for k, path in spoken.items() for text in ("--voice", f"{k}={path}")]
        done = program.run(*command, "--face", row.clip, "--faces", row.faces, "--codec", "ffv1",
                           "--silence", "net", "--outfile", out, *said, *arguments, code=code)
        return None if code else np.array(clips.read_video(out)).astype(int), done

    return run


@pytest.mark.parametrize("kind, count", [("wav2lip", 2), ("wav2lip", 3), ("wav2lip", 8),
                                         ("wav2vec2", 2), ("wav2vec2", 3), ("whisper", 2)])
def test_each_is_as_alone(speak, row, voices, kind, count):
    """Also where the first to be named is not the first face, and one face has no voice."""
    # One more face than voices, but for the most that there can be.
    faces = row(min(count + 1, 8))
    numbers = list(range(1, count + 1))[::-1]
    spoken = {n: voices[n - 1] for n in numbers}
    together, done = speak(kind, faces, spoken, "--json")
    report = json.loads(done.stdout)
    film = faces.film
    assert len(together) == COUNT and report["network_frames"] == COUNT
    changes = np.zeros_like(film)
    for n in numbers[:3]:
        alone, _ = speak(kind, faces, {n: spoken[n]})
        mine = faces.tile(alone, n - 1) - faces.tile(film[: len(alone)], n - 1)
        assert np.abs(mine).max(axis=(1, 2, 3)).min() > 3  # in every frame
        assert (faces.tile(together, n - 1)[: len(alone)] == faces.tile(alone, n - 1)).all()
        faces.tile(changes, n - 1)[: len(alone)] += mine
    for n in range(1, faces.count + 1):
        if n not in spoken:
            assert (faces.tile(together, n - 1) == faces.tile(film, n - 1)).all()
        elif n in numbers[3:]:
            moved = faces.tile(together, n - 1) - faces.tile(film, n - 1)
            assert np.abs(moved).max(axis=(1, 2, 3)).min() > 3
    if count <= 3:
        assert (together - film == changes).all()


@pytest.mark.parametrize("kind", ["wav2lip", "wav2vec2"])
def test_voices_are_told_apart(speak, row, voices, kind):
    """The other way round the mouths are others."""
    faces = row(2)
    one, _ = speak(kind, faces, {1: voices[0], 2: voices[2]})
    other, _ = speak(kind, faces, {1: voices[2], 2: voices[0]})
    for k in range(2):
        assert np.abs(faces.tile(one, k) - faces.tile(other, k)).max(axis=(1, 2, 3)).min() > 0


def heard(path, channels):
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac",
                           str(channels), "-"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32).reshape(-1, channels)


def mixed(path, channels):
    """The voice in as many channels, who speaks in the middle as loud as before."""
    sound, _ = soundfile.read(path, dtype="float32", always_2d=True)
    if sound.shape[1] == channels:
        return sound
    return sound.mean(1, keepdims=True) if channels == 1 else np.repeat(sound, channels, 1)


def test_stereo_voices(speak, row, voices, tmp_path):
    """What is heard has the channels of the voice that is named first, and is the sum of all."""
    rate, faces = 16000, row(3)
    time = np.arange(round(SECONDS * rate)) / rate
    tones = [0.2 * np.sin(2 * np.pi * f * time) for f in (200, 300, 500)]
    sounds = [np.stack([tones[0], 0.5 * tones[0]], 1), np.stack([0.3 * tones[1], tones[1]], 1),
              tones[2][:, None]]
    paths = []
    for k, sound in enumerate(sounds):
        paths.append(tmp_path / f"{k}.wav")
        soundfile.write(paths[-1], sound, rate, subtype="FLOAT")
    speak("wav2lip", faces, {k + 1: path for k, path in enumerate(paths)})
    got = heard(tmp_path / "out.mkv", 2)[: len(time)]
    assert np.abs(got - sum(mixed(path, 2) for path in paths)).max() < 1e-4
    speak("wav2lip", faces, {3: paths[2], 1: paths[0]})
    assert clips.stream(tmp_path / "out.mkv", "audio")["channels"] == 1
    got = heard(tmp_path / "out.mkv", 1)[: len(time)]
    assert np.abs(got - mixed(paths[2], 1) - mixed(paths[0], 1)).max() < 1e-4


def test_a_voice_out_of_phase_is_named(speak, row, voices, tmp_path):
    sound = clips.voice(SECONDS, seed=5)[:, 0]
    soundfile.write(tmp_path / "mono.wav", sound, 16000)
    soundfile.write(tmp_path / "stereo.wav", np.stack([sound, -sound], axis=1), 16000)
    faces = row(2)
    expected, _ = speak("wav2lip", faces, {1: voices[0], 2: tmp_path / "mono.wav"})
    got, done = speak("wav2lip", faces, {1: voices[0], 2: tmp_path / "stereo.wav"})
    assert (got == expected).all()
    assert "stereo.wav: its 2 channels cancel each other out" in done.stderr
    assert "voice0" not in done.stderr


def test_too_many(speak, row, voices):
    spoken = {n: voices[0] for n in range(1, 10)}
    _, done = speak("wav2lip", row(8), spoken, code=2)
    assert "--voice is given 9 times; at most 8 faces can speak" in done.stderr


@pytest.mark.parametrize("kind", ["wav2lip", "wav2vec2"])
@pytest.mark.parametrize("which", ["--voice", "--which"])
def test_a_wrong_number_is_told_before_the_work(program, generator, networks, row, voices, which,
                                                tmp_path, kind):
    """The weights, which give no numbers, would be found out at the first frame."""
    faces = row(2)
    out = tmp_path / "out.mkv"
    if kind == "wav2lip":
        state = {k: v * float("nan") for k, v in generator.model.state_dict().items()
                 if v.dtype == torch.float32}
        torch.save(state, tmp_path / "damaged.pth")
        command = ["wav2lip", "--checkpoint_path", tmp_path / "damaged.pth"]
    else:
        state = dict(networks(kind).networks.unet.state_dict())
        state["conv_out.bias"] = state["conv_out.bias"] * float("nan")
        torch.save(state, tmp_path / "damaged.pth")
        command = ["latent-wav2lip", *networks(kind).arguments(), "--checkpoint_path",
                   tmp_path / "damaged.pth"]
    command += ["--face", faces.clip, "--faces", faces.faces, "--outfile", out]

    def fails(number):
        said = (["--voice", f"{number}={voices[0]}"] if which == "--voice"
                else ["--audio", voices[0], "--which", number])
        done = program.run(*command, *said, code=1)
        assert not out.exists()
        return done.stderr

    assert "not finite" in fails(2)
    message = fails(3)
    assert f"{faces.clip}: no face has the number 3: 2 are seen in 6 frames, and the highest " \
        "number is 2" in message
    assert "not finite" not in message and "frames a second" not in message

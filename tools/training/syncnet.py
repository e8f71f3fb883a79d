"""Trains a narrow SyncNet on talking heads that say the speech of speech.py.

    nice python3 tools/training/syncnet.py    # draws clips, writes data/weights/syncnet.safetensors

Every clip is a drawn head that says one sentence, a second of which is drawn. First the voice's
encoder learns alone to tell the next five mouths, of all sentences whole. Then both learn together:
among the windows of a clip each picture finds its sound, and each sound its picture (so the others
of the same clip are what to tell it from, as in upstream's training); the cosine of a pair learns
to be the chance that it belongs together, upstream's loss; and both tell the mouths, which only
drawn heads can offer and which makes it quick. The layers that tell them are dropped.
"""

import argparse
import os
import time

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import common
import scenes
import speech
import wav2lip_data  # which finds tests/reference
from reference.syncnet import WINDOW, SyncNet

WIDTH, LEAST = 0.25, 8
CLIPS, FRAMES, COLUMNS, FPS = 520, 24, 16, 25
MARGIN, STORED = 0.15, 120  # around the face's box, and the side at which that is stored
FIRST_ROW = 40  # of it that is stored: above there is no lower half
PART = 40  # clips in a file
LISTEN_STEPS, LISTEN_BATCH = 900, 128
STEPS, BATCH = 1000, 8  # clips in a step
LAST_FULL = 4  # steps at the end in full precision
TEMPERATURE = 0.07
CHECK_STEPS, SAVE_SECONDS = 100, 60
FOLDER = common.work_folder("syncnet")
WEIGHTS = os.path.join(common.WEIGHTS, "syncnet.safetensors")
NOTE = "made for generated faces, not for real ones"
WINDOWS = FRAMES - WINDOW + 1


def sentence(index, split):
    """Mel (80, T) and mouths (frames, 2) of a sentence in a voice of its own."""
    _, sound = wav2lip_data.sentence([{"train": 4, "held-out": 5}[split], index], split)
    return wav2lip_data.mel_spectrogram(sound.samples), speech.mouths(sound, FPS)


def around(frame, box):
    """The face with MARGIN of its box on every side, what lies outside the picture repeated."""
    x1, y1, x2, y2 = (float(v) for v in box)
    w, h = (x2 - x1) * (1 + 2 * MARGIN), (y2 - y1) * (1 + 2 * MARGIN)
    x, y = x1 - MARGIN * (x2 - x1), y1 - MARGIN * (y2 - y1)
    to = np.float32([[STORED / w, 0, -x * STORED / w], [0, STORED / h, -y * STORED / h]])
    made = cv2.warpAffine(frame, to, (STORED, STORED), borderMode=cv2.BORDER_REPLICATE)
    return made[FIRST_ROW:]


def draw(index, split):
    """A clip: faces (FRAMES, rows, STORED, 3), where it begins in its sentence, and that."""
    mel, track = sentence(index, split)
    rng = np.random.default_rng([{"train": 4, "held-out": 5}[split], index, 9])
    last = min(len(track) - FRAMES, int((mel.shape[1] - COLUMNS) / 3.2) - FRAMES)
    # Of some seconds that in which the mouth moves most.
    begins = rng.integers(0, max(1, last), 4)
    begin = int(max(begins, key=lambda b: np.abs(np.diff(track[b:b + FRAMES, 0])).sum()))
    size = int(rng.integers(100, 148))
    face = size * rng.uniform(0.62, 0.7)
    shown = track[begin:begin + FRAMES]
    frames, boxes = scenes.clip(rng, shown, (size, size), FPS, face)
    return np.stack([around(f, b) for f, b in zip(frames, boxes)]), begin, mel, track


def load(split, count):
    """The clips of a split, drawn where they are not there yet."""
    clips = []
    for part in range(0, count, PART):
        path = os.path.join(FOLDER, f"{split}_{part:04d}.npz")
        if not os.path.exists(path):
            drawn = [draw(i, split) for i in range(part, min(part + PART, count))]
            named = {f"{name}{i}": value for i, clip in enumerate(drawn)
                     for name, value in zip(("faces", "begin", "mel", "track"), clip)}
            np.savez(path + ".tmp.npz", **named)
            os.replace(path + ".tmp.npz", path)
            print(f"{split}: {part + PART}/{count} clips", flush=True)
        with np.load(path) as held:
            clips += [tuple(held[f"{name}{i}"] for name in ("faces", "begin", "mel", "track"))
                      for i in range(min(PART, count - part))]
    return clips


def mel_start(frame):
    return int(80.0 * (frame / 25.0))


def louder(rng, mel):
    """Windows (N,1,80,16) of one clip, a little louder or softer, perhaps with noise."""
    mel = mel + 0.08 * rng.uniform(-12, 6)
    if rng.random() < 0.5:
        mel = np.maximum(mel, rng.uniform(-5.5, -2.5) + rng.normal(0, 0.25, mel.shape))
    return np.clip(mel, -4, 4).astype(np.float32)


def cut(rng, faces, still):
    """Lower halves (FRAMES, 48, 96, 3) as boxes of a detector cut them, which tremble."""
    side = STORED / (1 + 2 * MARGIN)
    made = np.empty((FRAMES, 48, 96, 3), np.uint8)
    moved = np.zeros((FRAMES, 4))
    if not still:
        moved = rng.normal(0, 0.03, 4) + rng.uniform(0, 0.015) * rng.normal(size=(FRAMES, 4))
    for i, (face, shift) in enumerate(zip(faces, np.clip(moved, -0.11, 0.11))):
        dx, dy, sx, sy = shift
        w, h = side * (1 + sx), side * (1 + sy)
        x, y = STORED / 2 + dx * side - w / 2, STORED / 2 + dy * side - FIRST_ROW
        to = np.float32([[96 / w, 0, -x * 96 / w], [0, 96 / h, -y * 96 / h]])
        made[i] = cv2.warpAffine(face, to, (96, 48), borderMode=cv2.BORDER_REPLICATE)
    return made


def windows(rng, clip, still=False):
    """Sounds (WINDOWS,1,80,16), pictures (WINDOWS,15,48,96), mouths (WINDOWS,5,2) of a clip."""
    faces, begin, mel, track = clip
    made = cut(rng, faces, still).astype(np.float32)
    if not still:
        if rng.random() < 0.5:
            made = made[:, :, ::-1]
        made = made * (rng.uniform(0.75, 1.1) * rng.uniform(0.93, 1.07, 3))
        made += rng.normal(0, rng.uniform(0, 4), made.shape)
    made = np.clip(made, 0, 255).astype(np.float32) / 255
    planes = made.transpose(0, 3, 1, 2).reshape(FRAMES * 3, 48, 96)
    pictures = np.stack([planes[3 * i:3 * (i + WINDOW)] for i in range(WINDOWS)])
    starts = [mel_start(int(begin) + i) for i in range(WINDOWS)]
    sounds = np.stack([mel[:, s:s + COLUMNS] for s in starts])[:, None].astype(np.float32)
    mouths = np.stack([track[int(begin) + i:][:WINDOW] for i in range(WINDOWS)])
    return sounds if still else louder(rng, sounds), pictures, mouths


class Trained(nn.Module):
    """The network as shipped, and the layers that read the mouths from its embeddings."""

    def __init__(self):
        super().__init__()
        self.network = SyncNet(WIDTH, LEAST)
        width = self.network.audio_encoder[-1].conv_block[0].out_channels
        self.heard, self.seen = nn.Linear(width, 2 * WINDOW), nn.Linear(width, 2 * WINDOW)


def mouth_loss(read, mouths):
    return (read.view_as(mouths) - mouths).abs().mul(torch.tensor([1.0, 0.4])).mean()


def listen(model, clips):
    """Trains the voice's encoder alone."""
    rng = np.random.default_rng(41)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    progress = common.Progress("syncnet_voice", LISTEN_STEPS, LISTEN_BATCH)
    for step in range(LISTEN_STEPS):
        common.set_rate(optimizer, common.cosine(step, LISTEN_STEPS, 2e-3, 1e-4, warmup=50))
        sounds, mouths = [], []
        for _ in range(LISTEN_BATCH // 8):
            _, _, mel, track = clips[rng.integers(len(clips))]
            last = min(len(track) - WINDOW, int((mel.shape[1] - COLUMNS) / 3.2))
            at = rng.integers(0, last, 8)
            sounds.append(louder(rng, np.stack([mel[:, mel_start(f):][:, :COLUMNS] for f in at])))
            mouths.append(np.stack([track[f:f + WINDOW] for f in at]))
        voice = torch.from_numpy(np.concatenate(sounds)[:, None])
        heard = model.heard(model.network.audio_encoder(voice).flatten(1))
        loss = mouth_loss(heard, torch.from_numpy(np.concatenate(mouths)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress.step(step + 1, loss.item())


def losses(model, sounds, pictures, mouths, fast):
    """Which sound, how likely, and which mouth; sounds and pictures of BATCH clips in a row."""
    with torch.autocast("cpu", torch.bfloat16, enabled=fast):
        a = model.network.audio_encoder(sounds)
        v = model.network.face_encoder(pictures)
    a, v = a.float().flatten(1), v.float().flatten(1)
    told = mouth_loss(model.heard(a), mouths) + mouth_loss(model.seen(v), mouths)
    a, v = (F.normalize(x).view(-1, WINDOWS, x.shape[1]) for x in (a, v))
    cosine = v @ a.transpose(1, 2)
    right = torch.arange(WINDOWS).expand(len(cosine), -1)
    found = F.cross_entropy(cosine / TEMPERATURE, right) + F.cross_entropy(
        cosine.transpose(1, 2) / TEMPERATURE, right)
    chance = cosine.clamp(1e-4, 1 - 1e-4)
    apart = (right[0][:, None] - right[0]).abs() >= 3  # a frame or two are hardly to be told
    same = chance.diagonal(dim1=1, dim2=2).log().mean()
    return found + told, -same - (1 - chance[:, apart]).log().mean()


@torch.no_grad()
def offsets(network, clips, most=8):
    """Of held-out clips: mean cosine of true pairs, of others, and how many clips peak at 0."""
    network.eval()
    same, other, hits = [], [], 0
    for clip in clips:
        sounds, pictures, _ = windows(None, clip, still=True)
        a, v = network(torch.from_numpy(sounds), torch.from_numpy(pictures))
        cosine = (v @ a.T).numpy()
        means = [np.diagonal(cosine, shift).mean() for shift in range(-most, most + 1)]
        hits += int(np.argmax(means)) == most
        same.append(means[most])
        other.append(np.mean(means[:most - 3] + means[most + 4:]))
    network.train()
    means = f"cosine {np.mean(same):.3f}, of others {np.mean(other):.3f}"
    return f"{means}; in sync {hits}/{len(clips)}"


def train(model, clips, held_out, steps):
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    path = os.path.join(FOLDER, "state.pt")
    state = common.load_state(path, model, optimizer)
    start = state["step"] if state else 0
    if not state:
        listen(model, clips)
    rng = np.random.default_rng([42, start])
    progress, saved = common.Progress("syncnet", steps, BATCH * WINDOWS, start), time.time()
    for step in range(start, steps):
        common.set_rate(optimizer, common.cosine(step, steps, 1.5e-3, 1e-5, warmup=20))
        chosen = rng.choice(len(clips), BATCH, replace=False)
        parts = zip(*(windows(rng, clips[i]) for i in chosen))
        sounds, pictures, mouths = (torch.from_numpy(np.concatenate(p)) for p in parts)
        fast = step < steps - LAST_FULL
        found, likely = losses(model, sounds, pictures, mouths, fast)
        loss = found + 0.5 * likely
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress.step(step + 1, loss.item())
        if (step + 1) % CHECK_STEPS == 0 or step + 1 == steps:
            progress.write(f"held-out: {offsets(model.network, held_out)}")
            common.save_half(WEIGHTS, model.network.state_dict(), "syncnet", "syncnet.py", NOTE)
        if time.time() - saved > SAVE_SECONDS:
            common.save_state(path, step + 1, model, optimizer)
            saved = time.time()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    steps = parser.parse_args().steps
    common.one_thread()
    common.seed_all(40)
    model = Trained()
    train(model, load("train", CLIPS), load("held-out", PART), steps)


if __name__ == "__main__":
    main()

"""What the lip-sync network learns from: a bank of spoken sentences and crops of talking heads.

    nice python3 tools/training/wav2lip_data.py     # fills build/training/wav2lip; may be stopped

The two meet only in the mouth: every drawn frame carries the (open, spread) it was drawn with, and
any moment of speech with the same mouth may go with it. So a few hundred heads see all the speech
there is. Every pose is drawn twice, with two mouths: the network then learns with the very frame
as reference that it will get when it is used, and still cannot copy the mouth from it.
"""

import os
import sys

import cv2
import numpy as np
from scipy.spatial import cKDTree

import common
import scenes
import speech

sys.path.insert(0, os.path.join(common.ROOT, "tests"))
from reference.audio import mel_spectrogram  # noqa: E402

SIDE, COLUMNS, FPS = 96, 16, 25
SENTENCES, IDENTITIES, POSES = 4000, 420, 20
PART = 20  # identities in a file
FOLDER = common.work_folder("wav2lip")


def sentence(seed, split="train"):
    """A spoken sentence that depends on the seed only: (text, Speech)."""
    rng = np.random.default_rng(seed)
    text = speech.sentence(rng, split)
    return text, speech.say(text, *speech.voice(rng, split))


def mel_windows(mel, count):
    """First mel columns of the windows of frames 0, 1, ..., as inference cuts them."""
    starts = [int(i * (80.0 / FPS)) for i in range(count)]
    return np.array([s for s in starts if s + COLUMNS <= mel.shape[1]], np.int64)


def make_bank():
    """All sentences: their mel columns after each other, where windows begin, and the mouths."""
    path = os.path.join(FOLDER, "speech.npz")
    if not os.path.exists(path):
        mels, starts, tracks, at = [], [], [], 0
        for i in range(SENTENCES):
            _, sound = sentence([1, i])
            mel, track = mel_spectrogram(sound.samples), speech.mouths(sound, FPS)
            begin = mel_windows(mel, len(track))
            mels.append(mel.T.astype(np.float16))
            starts.append(at + begin)
            tracks.append(track[:len(begin)])
            at += mel.shape[1]
        np.savez(path + ".tmp.npz", mel=np.concatenate(mels), starts=np.concatenate(starts),
                 tracks=np.concatenate(tracks))
        os.replace(path + ".tmp.npz", path)
    return dict(np.load(path))


def crop(frame, box, shift):
    """The face as the pipeline cuts it out; `shift` moves the box as a detector's error does."""
    x1, y1, x2, y2 = box
    w, h = x2 - x1, y2 - y1
    dx, dy, sx, sy, pad = shift
    cx, cy = (x1 + x2) / 2 + dx * w, (y1 + y2) / 2 + dy * h
    w, h = w * (1 + sx), h * (1 + sy)
    x1, y1 = max(0, int(cx - w / 2)), max(0, int(cy - h / 2))
    x2, y2 = int(cx + w / 2), min(frame.shape[0], int(cy + h / 2 + pad * h))
    return cv2.resize(frame[y1:y2, x1:x2], (SIDE, SIDE))


def draw_poses(seed, mouths):
    """Crops (2, POSES, 96, 96, 3) uint8 BGR of one head, with the mouths (2, POSES, 2)."""
    rng = np.random.default_rng([*seed, 7])
    size = int(rng.integers(128, 200))
    face = size * rng.uniform(0.62, 0.7)
    pad = rng.uniform(0.03, 0.11)  # the pipeline's 10 pixels, of faces of many sizes
    still = rng.normal(0, 0.015, 4)
    shifts = [(*(still + rng.normal(0, 0.008, 4)), pad) for _ in range(POSES)]
    crops = np.empty((2, POSES, SIDE, SIDE, 3), np.uint8)
    for take in range(2):
        motion = np.random.default_rng(seed)
        frames, boxes = scenes.clip(motion, mouths[take], (size, size), 4, face)
        for i in range(POSES):
            crops[take, i] = crop(frames[i], boxes[i], shifts[i])
    return crops


def draw_identity(index, tracks):
    """What draw_poses draws, and the mouths (2, POSES, 2): those of any moments of speech."""
    rng = np.random.default_rng([1, index, 8])
    mouths = tracks[rng.integers(len(tracks), size=(2, POSES))].astype(np.float32)
    # Wide open mouths are rare in speech, and what there is most to learn about.
    wide = rng.random((2, POSES)) < 0.15
    mouths[wide, 0] = rng.uniform(0.4, 1.0, wide.sum())
    return draw_poses([1, index], mouths), mouths


def part_path(number):
    return os.path.join(FOLDER, f"heads_{number:03d}.npz")


def make_heads(tracks):
    for number in range(IDENTITIES // PART):
        path = part_path(number)
        if os.path.exists(path):
            continue
        drawn = [draw_identity(i, tracks) for i in range(number * PART, (number + 1) * PART)]
        np.savez(path + ".tmp.npz", crops=np.stack([c for c, _ in drawn]),
                 mouths=np.stack([m for _, m in drawn]))
        os.replace(path + ".tmp.npz", path)
        print(f"{(number + 1) * PART}/{IDENTITIES} heads", flush=True)


def load_heads(known):
    """Parts finished since `known` parts were read: (crops, mouths, number of parts now)."""
    crops, mouths = [], []
    while os.path.exists(part_path(known)):
        part = np.load(part_path(known))
        crops.append(part["crops"])
        mouths.append(part["mouths"])
        known += 1
    return crops, mouths, known


class Bank:
    """Moments of speech, looked up by the mouth they ask for."""

    def __init__(self):
        bank = make_bank()
        self.mel, self.starts, self.tracks = bank["mel"], bank["starts"], bank["tracks"]
        # Thousands of moments are exactly closed: equal points make the tree endlessly deep.
        apart = np.random.default_rng(3).normal(0, 0.003, self.tracks.shape)
        self.tree = cKDTree(self.tracks * (1.0, 0.5) + apart)  # how far open matters most

    def windows(self, rng, chosen):
        """Mel windows (N,1,80,16) of the chosen moments, a little louder or softer, with noise."""
        at = self.starts[chosen][:, None] + np.arange(COLUMNS)
        mel = self.mel[at].astype(np.float32).transpose(0, 2, 1)[:, None]
        count = len(chosen)
        gain = 0.08 * rng.uniform(-12, 6, (count, 1, 1, 1))  # 8 units are 100 dB
        floor = rng.uniform(-5.5, -2.5, (count, 1, 1, 1)) + rng.normal(0, 0.25, mel.shape)
        noisy = rng.random((count, 1, 1, 1)) < 0.5
        mel = mel + gain
        return np.clip(np.where(noisy, np.maximum(mel, floor), mel), -4, 4).astype(np.float32)

    def like(self, rng, mouths):
        """For every mouth (N,2) one of the moments that ask for nearly the same."""
        _, near = self.tree.query(mouths * (1.0, 0.5), k=12)
        return near[np.arange(len(mouths)), rng.integers(12, size=len(mouths))]


if __name__ == "__main__":
    make_heads(make_bank()["tracks"])

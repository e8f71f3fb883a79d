"""The voice of data/demo, what mouth says it, and pieces of it."""

from pathlib import Path

import numpy as np
import soundfile

PATH = Path(__file__).resolve().parents[2] / "data" / "demo" / "voice.wav"
RATE, FPS = 16000, 25
# How far the mouth is open that says it, in each frame, by tools/training/speech.py (which needs
# espeak-ng), in hundredths.
OPENING = [0, 0, 0, 1, 7, 30, 34, 31, 23, 24, 38, 47, 44, 38, 31, 23, 10, 1, 0, 0, 0, 0, 0,
           0, 0, 1, 12, 48, 59, 43, 32, 4, 0, 18, 21, 18, 37, 59, 63, 50, 31, 29, 26, 21,
           21, 33, 66, 83, 80, 52, 21, 22, 34, 41, 38, 24, 13, 11, 10, 11, 17, 29, 31, 20,
           11, 5, 1, 17, 22, 22, 22, 22, 18, 6, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17, 54, 45,
           28, 25, 30, 26, 3, 0, 1, 8, 11, 14, 16, 21, 27, 26, 17, 11, 9, 9, 22, 56, 70, 53,
           33, 40, 37, 28, 23, 27, 25, 15, 10, 9, 9, 22, 47, 54, 48, 41, 34, 25, 14, 10, 7]


def samples(first, count):
    """The sound of `count` frames from frame `first` on."""
    sound, rate = soundfile.read(PATH)
    assert rate == RATE
    return sound[first * RATE // FPS : (first + count) * RATE // FPS]


def opening(first, count):
    """The mouth's opening in these frames, 0..1."""
    return np.array(OPENING[first : first + count]) / 100

"""How well the shipped SyncNet finds sound that was moved, in held-out heads that say held-out
sentences in held-out voices, through run-model.

The places of the faces are given, so that what is measured is the network and not the detector.
"""

import json
import os
import subprocess
import sys
import tempfile

import numpy as np

import common
import scenes
import speech
from evaluate_wav2lip import FPS, SIZE, speak, write_video, write_wav
from reference.faces_file import write_boxes

WEIGHTS = os.path.join(common.WEIGHTS, "syncnet.safetensors")
CLIPS, LATE_MS = 10, (0, 120, -200)
MOST_FRAMES = 55  # of a clip, so that its file is hashed whole


def moved(samples, ms):
    """The samples so much later, or earlier where ms is below 0."""
    count = speech.RATE * ms // 1000
    silence = np.zeros(abs(count), samples.dtype)
    return np.concatenate([silence, samples]) if ms >= 0 else np.append(samples[-count:], silence)


def measure(program, folder, samples):
    face, voice, faces = (os.path.join(folder, name) for name in
                          ("face.mkv", "voice.wav", "faces.json"))
    write_wav(voice, samples)
    command = [program, "sync", face, "--audio", voice, "--weights", WEIGHTS, "--faces", faces,
               "--json", "--quiet"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def measure_clip(program, index, folder):
    """What is told of the clip's own sound, moved, and of somebody else's."""
    sound = speak([2, 8000 + index])
    mouths = speech.mouths(sound, FPS)[:MOST_FRAMES]
    frames, boxes = scenes.clip(np.random.default_rng([2, 9000 + index]), mouths, (SIZE, SIZE), FPS)
    face, faces = (os.path.join(folder, name) for name in ("face.mkv", "faces.json"))
    write_video(face, frames)
    write_boxes(faces, face, boxes, (SIZE, SIZE), FPS)
    own = [measure(program, folder, moved(sound.samples, late)) for late in LATE_MS]
    return own, measure(program, folder, speak([2, 8500 + index]).samples)


def figures(program):
    """(name, value, bound, passes) of each figure."""
    owns, others = [], []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(CLIPS):
            own, other = measure_clip(program, index, folder)
            owns.append(own)
            others.append(other)
    found = [abs(told["offset_ms"] + late) <= 20 for own in owns
             for told, late in zip(own, LATE_MS)]
    share = 100 * np.mean(found)
    confidence, other = (np.mean([told["confidence"] for told in group])
                         for group in ([own[0] for own in owns], others))
    cosine = np.mean([own[0]["cosine"] for own in owns])
    return [
        (f"SyncNet: of {len(found)} clips whose sound was moved, offset within 20 ms, %",
         share, ">= 90", share >= 90),
        ("SyncNet: confidence (LSE-C) of their own sound", confidence, ">= 0.1",
         confidence >= 0.1),
        ("SyncNet: confidence of somebody else's", other, "<= half of that",
         other <= confidence / 2),
        ("SyncNet: mean cosine in sync", cosine, ">= 0.5", cosine >= 0.5),
    ]


if __name__ == "__main__":
    for figure in figures(sys.argv[1]):
        print(*figure)

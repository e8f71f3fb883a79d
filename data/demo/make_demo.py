"""Makes the demo clip and the demo voice: data/demo/face.mp4 and data/demo/voice.wav.

The head is drawn by tools/training/heads.py and nobody's likeness is in it: one identity that no
training has seen, saying a sentence of its own in its own voice. The other voice, which the demo
puts into its mouth, is another of espeak-ng's, whose output is free to use. Needs Python with
numpy, scipy and opencv, ffmpeg and espeak-ng:

    python3 data/demo/make_demo.py
"""

import os
import subprocess
import sys
import wave

import cv2
import numpy as np

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "..", "..", "tools", "training"))

import scenes  # noqa: E402
import speech  # noqa: E402

WIDTH, HEIGHT, FPS, FACE, SEED = 320, 240, 25, 122, [3, 33]
OVERSAMPLING = 2  # on top of the renderer's own
OWN_VOICE = ("en-us+f3", 55, 125)
OWN_TEXT = "Good morning. This is my own voice, before you change it."
VOICE = ("en-gb-x-rp+m7", 42, 152)
TEXT = "Hello! I am a drawing that learned to speak. My lips should follow this voice."
QUIET = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]


def write_wav(path, sound):
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speech.RATE)
        file.writeframes((np.clip(sound.samples, -1, 1) * 32767).astype("<i2").tobytes())


def draw(sound):
    size = HEIGHT * OVERSAMPLING, WIDTH * OVERSAMPLING
    frames, _ = scenes.clip(np.random.default_rng(SEED), speech.mouths(sound, FPS), size, FPS,
                            FACE * OVERSAMPLING)
    return [cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for frame in frames]


def main():
    own, own_path = speech.say(OWN_TEXT, *OWN_VOICE), os.path.join(FOLDER, "own.wav")
    write_wav(own_path, own)
    video = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24",
             "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-", "-i", own_path, "-shortest",
             "-c:a", "aac", "-b:a", "48k", "-c:v", "libx264", "-preset", "veryslow", "-crf", "18",
             "-pix_fmt", "yuv420p", "-colorspace", "bt709", "-color_primaries", "bt709",
             "-color_trc", "bt709", "-vf", "scale=out_color_matrix=bt709",
             "-movflags", "+faststart", *QUIET, os.path.join(FOLDER, "face.mp4")]
    with subprocess.Popen(video, stdin=subprocess.PIPE) as encoder:
        encoder.stdin.write(b"".join(frame.tobytes() for frame in draw(own)))
        encoder.stdin.close()
        if encoder.wait() != 0:
            raise SystemExit("ffmpeg failed")
    os.remove(own_path)
    write_wav(os.path.join(FOLDER, "voice.wav"), speech.say(TEXT, *VOICE))


if __name__ == "__main__":
    main()

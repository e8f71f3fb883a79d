"""How well the shipped Wav2Lip makes held-out heads say held-out sentences, through run-model.

Every clip shows a head that says one sentence; the program has it say another. The same head in the
same poses is also drawn with the mouth that other sentence asks for: that is the truth.

How far a mouth is open is measured in pixels: for each head a ridge regression learns it from
drawn frames of that head (the clip given to the program, and one with mouths of other moments),
never from what the program made. What it reads from the true frames is printed beside.
"""

import os
import subprocess
import sys
import tempfile
import wave

import cv2
import numpy as np

import common
import scenes
import speech

sys.path.insert(0, os.path.join(common.ROOT, "tests"))
from reference.faces_file import write_boxes  # noqa: E402

WEIGHTS = os.path.join(common.WEIGHTS, "wav2lip.safetensors")
CLIPS, SIZE, FPS = 8, 192, 25
PADS = 0, 10, 0, 0  # the pipeline's default: top, bottom, left, right
MOUTH = 26, 18  # size at which the mouth is read


def write_wav(path, samples):
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(speech.RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def write_video(path, frames):
    command = ["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24"]
    command += ["-s", f"{frames.shape[2]}x{frames.shape[1]}", "-r", str(FPS), "-i", "-"]
    command += ["-c:v", "ffv1", "-pix_fmt", "bgr0", path]
    subprocess.run(command, input=frames.tobytes(), check=True)


def read_video(path, height, width):
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def lip_sync(program, folder, frames, boxes, samples):
    """What the program makes of the frames and the voice, without loss."""
    face, voice, out, faces = (os.path.join(folder, name) for name in
                               ("face.mkv", "voice.wav", "out.mkv", "faces.json"))
    write_video(face, frames)
    write_wav(voice, samples)
    write_boxes(faces, face, boxes, (SIZE, SIZE), FPS)
    command = [program, "wav2lip", "--face", face, "--audio", voice, "--checkpoint_path", WEIGHTS,
               "--faces", faces, "--codec", "ffv1", "--outfile", out, "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return read_video(out, *frames.shape[1:3])


def speak(seed):
    rng = np.random.default_rng(seed)
    return speech.say(speech.sentence(rng, "held-out"), *speech.voice(rng, "held-out"))


def fit_length(track, count):
    """`count` frames of the track, going back and forth when it is shorter."""
    there_and_back = np.concatenate([track, track[::-1]])
    return there_and_back[np.arange(count) % len(there_and_back)]


def mouth_pixels(frames, boxes):
    """Features (T, N) of the region about the mouth, small, each picture with the same mean."""
    rows = []
    for frame, (x1, y1, x2, y2) in zip(frames, boxes):
        w, h = x2 - x1, y2 - y1
        left, right = int(x1 + 0.22 * w), int(x2 - 0.22 * w)
        top, bottom = int(y1 + 0.56 * h), int(y2 + 0.02 * h)
        small = cv2.resize(frame[top:bottom, left:right], MOUTH, interpolation=cv2.INTER_AREA)
        small = small.astype(np.float32) / 255
        rows.append((small - small.mean((0, 1))).ravel())
    return np.array(rows)


def learn_opening(pixels, opening, strength=3.0):
    """A function from mouth pixels to how far the mouth is open: ridge regression in dual form."""
    centre, level = pixels.mean(0), opening.mean()
    x = pixels - centre
    dual = np.linalg.solve(x @ x.T + strength * np.eye(len(x)), opening - level)
    weights = x.T @ dual
    return lambda new: (new - centre) @ weights + level


def lower_half(boxes, shape):
    """True where the pipeline's crop of the face has its generated half."""
    mask = np.zeros((len(boxes), *shape), bool)
    for i, (x1, y1, x2, y2) in enumerate(boxes):
        y2 = min(y2 + PADS[1], shape[0])
        mask[i, int((y1 + y2) / 2):int(y2), int(x1):int(x2)] = True
    return mask


def measure_clip(program, index, folder):
    """One head: true and measured openings, squared errors of the lower half, the frames."""
    driving = speak([2, 5000 + index])
    track = speech.mouths(driving, FPS)
    own = fit_length(speech.mouths(speak([2, 6000 + index]), FPS), len(track))
    other = np.random.default_rng([2, 7000 + index])
    random = own[other.permutation(len(own))]
    random[:, 0] = np.where(other.random(len(own)) < 0.5, random[:, 0], other.random(len(own)))

    def draw(mouths):
        return scenes.clip(np.random.default_rng([2, 2000 + index]), mouths, (SIZE, SIZE), FPS)

    frames, boxes = draw(own)
    true_frames, _ = draw(track)
    read = learn_opening(np.concatenate([mouth_pixels(frames, boxes),
                                         mouth_pixels(draw(random)[0], boxes)]),
                         np.concatenate([own[:, 0], random[:, 0]]))
    made = lip_sync(program, folder, frames, boxes, driving.samples)
    late = lip_sync(program, folder, frames, boxes, np.roll(driving.samples, speech.RATE))
    count = min(len(track), len(made), len(late))
    boxes = boxes[:count]
    below = lower_half(boxes, frames.shape[1:3])
    error = (made[:count][below].astype(np.float32) - true_frames[:count][below]) ** 2
    opening = {"true": track[:count, 0]}
    for name, pictures in (("drawn", true_frames), ("made", made), ("late", late)):
        opening[name] = read(mouth_pixels(pictures[:count], boxes))
    return opening, error, (frames[:count], true_frames[:count], made[:count])


def figures(program):
    """(name, value, bound, passes) of each figure."""
    clips, errors = [], []
    with tempfile.TemporaryDirectory() as folder:
        for index in range(CLIPS):
            opening, error, _ = measure_clip(program, index, folder)
            clips.append(opening)
            errors.append(error.ravel())
    opening = {key: np.concatenate([clip[key] for clip in clips]) for key in clips[0]}
    follows = {key: np.corrcoef(opening["true"], opening[key])[0, 1]
               for key in ("drawn", "made", "late")}
    psnr = 10 * np.log10(255**2 / np.concatenate(errors).mean())
    return [
        ("Wav2Lip: opening as read from drawn frames, correlation with the truth",
         follows["drawn"], ">= 0.95", follows["drawn"] >= 0.95),
        ("Wav2Lip: opening of made frames, correlation with the truth",
         follows["made"], ">= 0.85", follows["made"] >= 0.85),
        ("Wav2Lip: the same with the voice one second late",
         follows["late"], "< 0.3", follows["late"] < 0.3),
        ("Wav2Lip: lower half of the face, PSNR in dB", psnr, ">= 28", psnr >= 28),
    ]


if __name__ == "__main__":
    for figure in figures(sys.argv[1]):
        print(*figure)

"""Upstream's inference, step by step, from decoded frames and an audio file to output frames."""

from dataclasses import dataclass, field

import cv2
import numpy as np
import torch

from . import audio, s3fd

SMOOTHING = 5


@dataclass
class Pictures:
    """What a network takes and gives; with `signed`, [-1,1] and a mask inside of the lower half."""

    side: int = 96
    signed: bool = False

    def of(self, faces):
        masked, side = faces.copy(), self.side
        if not self.signed:
            masked[:, side // 2 :] = 0
            return np.concatenate([masked, faces], axis=3) / 255.0
        masked[:, side // 2 : side - 8, 8 : side - 8] = 0
        return (np.concatenate([masked, faces], axis=3) - 127.5) / 127.5

    def levels(self, made):
        """tanh gives what is below black."""
        made = made * 127.5 + 127.5 if self.signed else made * 255.0
        return np.clip(made, 0, 255)


@dataclass
class Options:
    """Upstream's options with upstream's defaults."""

    static: bool = False
    fps: float = 25.0  # of a still; a video brings its own
    pads: tuple = (0, 10, 0, 0)  # top bottom left right
    batch_size: int = 128
    resize_factor: int = 1
    crop: tuple = (0, -1, 0, -1)  # top bottom left right
    box: tuple = (-1, -1, -1, -1)  # top bottom left right
    rotate: bool = False
    nosmooth: bool = False


@dataclass
class Result:
    frames: list
    boxes: list  # (y1, y2, x1, x2) of every output frame
    canvases: list = field(repr=False, default_factory=list)  # the frames before pasting


class NoFace(ValueError):
    def __init__(self, index):
        super().__init__(f"no face in frame {index}")
        self.index = index


def prepare_frames(frames, options: Options):
    """Resize, rotate, crop, in this order."""
    out = []
    for frame in frames:
        if options.resize_factor > 1:
            height, width = frame.shape[:2]
            size = (width // options.resize_factor, height // options.resize_factor)
            frame = cv2.resize(frame, size)
        if options.rotate:
            frame = cv2.rotate(frame, cv2.ROTATE_90_CLOCKWISE)
        y1, y2, x1, x2 = options.crop
        y2 = frame.shape[0] if y2 == -1 else y2
        x2 = frame.shape[1] if x2 == -1 else x2
        out.append(np.ascontiguousarray(frame[y1:y2, x1:x2]))
    return out


def smooth(boxes: np.ndarray) -> np.ndarray:
    """Forward-looking mean over five, written back into the whole numbers it reads from."""
    for i in range(len(boxes)):
        if i + SMOOTHING > len(boxes):
            window = boxes[len(boxes) - SMOOTHING :]
        else:
            window = boxes[i : i + SMOOTHING]
        boxes[i] = np.mean(window, axis=0)
    return boxes


def detect_boxes(detector, frames, options: Options):
    """(y1, y2, x1, x2) for every frame."""
    top, bottom, left, right = options.pads
    boxes = []
    for index, frame in enumerate(frames):
        rect = s3fd.detect(detector, frame)
        if rect is None:
            raise NoFace(index)
        x1, y1, x2, y2 = rect
        boxes.append(
            [
                max(0, x1 - left),
                max(0, y1 - top),
                min(frame.shape[1], x2 + right),
                min(frame.shape[0], y2 + bottom),
            ]
        )
    boxes = np.array(boxes)
    if not options.nosmooth:
        boxes = smooth(boxes)
    return [(int(y1), int(y2), int(x1), int(x2)) for x1, y1, x2, y2 in boxes]


def run(
    model, frames, audio_path, options: Options, video_fps=None, detector=None, pictures=None
) -> Result:
    """`frames`: BGR uint8 as decoded; one frame without `video_fps` is a still."""
    pictures = pictures or Pictures()
    still = video_fps is None
    fps = options.fps if still else video_fps
    static = options.static or still
    if not still:
        frames = prepare_frames(frames, options)
    chunks = audio.mel_chunks(audio.mel_spectrogram(audio.load(audio_path)), fps)
    frames = frames[: len(chunks)]

    if options.box[0] == -1:
        boxes = detect_boxes(detector, frames[:1] if static else frames, options)
    else:
        boxes = [tuple(options.box)] * len(frames)

    result = Result([], [])
    for begin in range(0, len(chunks), options.batch_size):
        faces, mels, places = [], [], []
        for i in range(begin, min(len(chunks), begin + options.batch_size)):
            index = 0 if static else i % len(frames)
            y1, y2, x1, x2 = boxes[index]
            faces.append(cv2.resize(frames[index][y1:y2, x1:x2], (pictures.side, pictures.side)))
            mels.append(chunks[i])
            places.append((index, boxes[index]))
        image = pictures.of(np.asarray(faces))
        face = torch.from_numpy(image.transpose(0, 3, 1, 2).astype(np.float32))
        voice = torch.from_numpy(np.asarray(mels)[:, None])
        with torch.no_grad():
            made = pictures.levels(model(voice, face).numpy().transpose(0, 2, 3, 1))
        for picture, (index, box) in zip(made, places):
            y1, y2, x1, x2 = box
            canvas = frames[index].copy()
            result.canvases.append(frames[index])
            canvas[y1:y2, x1:x2] = cv2.resize(picture.astype(np.uint8), (x2 - x1, y2 - y1))
            result.frames.append(canvas)
            result.boxes.append(box)
    return result

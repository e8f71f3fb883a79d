"""What the shipped S3FD finds in scenes it was not trained on, through run-model."""

import os
import subprocess
import sys
import tempfile

import numpy as np
import torch

import common
import s3fd_scenes

sys.path.insert(0, os.path.join(common.ROOT, "tests"))
from reference.s3fd import FINAL_SCORE, MEAN, OUTPUT_NAMES, decode, suppress  # noqa: E402

WEIGHTS = os.path.join(common.WEIGHTS, "s3fd.safetensors")
SCENES = {(240, 320): 180, (256, 256): 180, (320, 320): 80, (480, 640): 20}  # of each size
BATCH = 20
SAME = 0.5  # overlap from which a detection is that face


def run_network(program, pictures, folder, weights=WEIGHTS):
    """uint8 BGR pictures of one size through `run-model exec`: the twelve maps."""
    image = pictures[..., ::-1].astype(np.float32) - np.array(MEAN, np.float32)
    np.save(os.path.join(folder, "image.npy"), np.ascontiguousarray(image.transpose(0, 3, 1, 2)))
    command = [program, "exec", "s3fd", "--weights", weights, "--quiet"]
    command += ["--input", "image=" + os.path.join(folder, "image.npy")]
    for name in OUTPUT_NAMES:
        command += ["--output", f"{name}={os.path.join(folder, name)}.npy"]
    subprocess.run(command, check=True)
    return [np.load(os.path.join(folder, name + ".npy")) for name in OUTPUT_NAMES]


def detect(program, pictures, folder, weights=WEIGHTS):
    """For every picture the faces found, best first: rows (x1, y1, x2, y2, score)."""
    maps = run_network(program, pictures, folder, weights)
    found = []
    for i in range(len(pictures)):
        rows = suppress(decode([torch.from_numpy(m[i : i + 1]) for m in maps]))
        found.append(rows[rows[:, 4] > FINAL_SCORE])
    return found


def overlaps(box, boxes):
    """Intersection over union of one box and n others."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:4], boxes[:, 2:])
    both = np.prod(np.maximum(0, high - low), 1)
    return both / (np.prod(box[2:4] - box[:2]) + s3fd_scenes.area(boxes) - both)


def compare(rows, boxes):
    """Overlaps of the faces that were found, each by one detection; the others are missing."""
    left, hits = boxes, []
    for row in rows:
        if len(left) == 0:
            break
        iou = overlaps(row, left)
        if iou.max() >= SAME:
            hits.append(iou.max())
            left = np.delete(left, iou.argmax(), 0)
    return hits


def measure(program, weights=WEIGHTS):
    """Faces drawn, detections, and the overlap of every face found, over all held-out scenes."""
    faces, detections, hits = 0, 0, []
    sizes = [size for size, count in SCENES.items() for _ in range(count // BATCH)]
    with tempfile.TemporaryDirectory() as folder:
        for number, size in enumerate(sizes):
            start = number * BATCH
            scenes = [s3fd_scenes.draw("held-out", i, *size) for i in range(start, start + BATCH)]
            pictures = np.stack([picture for picture, _ in scenes])
            for rows, (_, boxes) in zip(detect(program, pictures, folder, weights), scenes):
                faces += len(boxes)
                detections += len(rows)
                hits += compare(rows, np.asarray(boxes, np.float32).reshape(-1, 4))
    return faces, detections, np.array(hits)


def figures(program):
    """(name, value, bound, passes) of each figure."""
    faces, detections, hits = measure(program)
    found = 100 * len(hits) / faces
    false = 100 * (detections - len(hits)) / max(1, detections)
    return [
        (f"S3FD: of {faces} held-out faces found at IoU 0.5, %", found, ">= 99", found >= 99),
        (f"S3FD: of {detections} detections false, %", false, "<= 1", false <= 1),
        ("S3FD: mean IoU of the faces found", hits.mean(), ">= 0.8", hits.mean() >= 0.8),
    ]

"""Scenes with faces for the training of S3FD: drawn once and kept, changed anew for every step.

Run by itself it draws the scenes; s3fd.py does so when they are missing. A scene costs far more
to draw than to use, so a few thousand are kept in build/training, and every step scales, moves,
recolours and compresses them.
"""

import os

import cv2
import numpy as np

import common
import scenes as drawn

COUNT, SIDE = 3000, 320  # of the kept scenes
FACES = (0.15, 0.45, 0.25, 0.15)  # chances of 0, 1, 2, 3 faces
MOST_FACES = len(FACES) - 1
LEAST_HEIGHT = 13  # a face lower than this is neither face nor background
LEAST_VISIBLE = 0.7  # nor is one of which less than this is in the picture
SPLITS = {"train": 1, "held-out": 2}


def draw(split, index, height=SIDE, width=SIDE):
    """Scene `index` of a split: uint8 BGR and its boxes (n,4). The same at every call."""
    rng = np.random.default_rng([SPLITS[split], index])
    count = rng.choice(len(FACES), p=FACES)
    return drawn.scene(rng, height, width, count)


def load():
    """The first scenes of the training split: pictures (COUNT,SIDE,SIDE,3), boxes (COUNT,3,4), NaN
    where there is no face. Draws them when they are not there."""
    folder = common.work_folder("s3fd")
    pictures_path = os.path.join(folder, "scenes.npy")
    boxes_path = os.path.join(folder, "boxes.npy")
    if not os.path.exists(boxes_path):
        pictures = np.lib.format.open_memmap(
            pictures_path, "w+", np.uint8, (COUNT, SIDE, SIDE, 3)
        )
        boxes = np.full((COUNT, MOST_FACES, 4), np.nan, np.float32)
        for i in range(COUNT):
            pictures[i], found = draw("train", i)
            boxes[i, : len(found)] = found
            if i % 250 == 249:
                print(f"scenes drawn: {i + 1} of {COUNT}", flush=True)
        pictures.flush()
        np.save(boxes_path, boxes)  # last: its presence says that the scenes are complete
    return np.load(pictures_path, mmap_mode="r"), np.load(boxes_path)


# ---- a picture of a batch -----------------------------------------------------------------------


def compose(rng, scenes, empty, height, width, most_zoom):
    """One training picture, its boxes (n,4) and which of them are to be learned (n).

    A kept scene, scaled, mirrored and moved, over another one without faces (`empty` lists those).
    """
    pictures, kept_boxes = scenes
    picture = cv2.resize(pictures[rng.choice(empty)], (width, height))
    index = rng.integers(len(pictures))
    scene, boxes = pictures[index], kept_boxes[index]
    boxes = boxes[~np.isnan(boxes[:, 0])]
    if rng.random() < 0.5:
        scene = scene[:, ::-1]
        boxes = np.stack([SIDE - boxes[:, 2], boxes[:, 1], SIDE - boxes[:, 0], boxes[:, 3]], 1)

    zoom = np.exp(rng.uniform(np.log(0.4), np.log(most_zoom)))
    stretch = np.exp(rng.uniform(-0.08, 0.08))
    sides = np.array([round(SIDE * zoom * stretch), round(SIDE * zoom)])
    how = cv2.INTER_AREA if zoom < 0.8 else cv2.INTER_LINEAR
    scene = cv2.resize(np.ascontiguousarray(scene), tuple(int(s) for s in sides), interpolation=how)
    room = np.array([width, height]) - sides
    left, top = (int(rng.integers(min(0, r), max(0, r) + 1)) for r in room)
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(width, left + sides[0]), min(height, top + sides[1])
    picture[y1:y2, x1:x2] = scene[y1 - top : y2 - top, x1 - left : x2 - left]

    boxes = boxes * np.tile(sides / SIDE, 2) + np.tile([left, top], 2)
    inside = np.clip(boxes, 0, np.tile([width, height], 2))
    visible = area(inside) / area(boxes)
    shown = visible > 0.05
    learned = (visible >= LEAST_VISIBLE) & (boxes[:, 3] - boxes[:, 1] >= LEAST_HEIGHT)
    boxes, learned = boxes[shown], learned[shown]
    if len(boxes) and rng.random() < 0.3:
        scramble(rng, picture, boxes, boxes[rng.integers(len(boxes))])
    return picture, boxes.astype(np.float32), learned


def area(boxes):
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def scramble(rng, picture, boxes, face):
    """Pastes the face cut in nine and shuffled where no face is: skin and eyes, but not a face."""
    height, width = picture.shape[:2]
    x1, y1 = (max(0, int(v)) for v in face[:2])
    side_x, side_y = (int(min(face[2], width)) - x1) // 3, (int(min(face[3], height)) - y1) // 3
    if side_x < 4 or side_y < 4 or width <= 3 * side_x or height <= 3 * side_y:
        return
    left, top = rng.integers(width - 3 * side_x), rng.integers(height - 3 * side_y)
    apart = (
        (boxes[:, 0] >= left + 3 * side_x)
        | (boxes[:, 2] <= left)
        | (boxes[:, 1] >= top + 3 * side_y)
        | (boxes[:, 3] <= top)
    )
    if not apart.all():
        return
    source = picture[y1 : y1 + 3 * side_y, x1 : x1 + 3 * side_x].copy()
    places = [(row, column) for row in range(3) for column in range(3)]
    for (row, column), other in zip(places, rng.permutation(9)):
        r, c = places[other]
        picture[
            top + row * side_y : top + (row + 1) * side_y,
            left + column * side_x : left + (column + 1) * side_x,
        ] = source[r * side_y : (r + 1) * side_y, c * side_x : (c + 1) * side_x]


def disturb(rng, picture):
    """What cameras and codecs do: light, colour cast, blur, noise, compression."""
    gain = np.exp(rng.normal(0, 0.15)) * np.exp(rng.normal(0, 0.07, 3))
    table = np.arange(256, dtype=np.float32)[:, None] / 255
    table = table ** np.exp(rng.normal(0, 0.2)) * gain + rng.normal(0, 0.04)
    table = np.clip(table * 255, 0, 255).astype(np.uint8)
    picture = cv2.LUT(picture, table[None])
    if rng.random() < 0.05:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    if rng.random() < 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.25:
        noise = rng.normal(0, rng.uniform(1, 10), picture.shape).astype(np.float32)
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))]
        picture = cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_COLOR)
    return picture


def batch(rng, scenes, empty, count, height, width, most_zoom):
    """`count` pictures (count,H,W,3) uint8 BGR, and for each its boxes and which are learned.
    Scenes are scaled by 0.4 to `most_zoom`."""
    pictures, targets = [], []
    for _ in range(count):
        picture, boxes, learned = compose(rng, scenes, empty, height, width, most_zoom)
        pictures.append(disturb(rng, picture))
        targets.append((boxes, learned))
    return np.stack(pictures), targets


if __name__ == "__main__":
    load()

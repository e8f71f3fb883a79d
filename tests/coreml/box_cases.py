"""What boxes are cut out or thinned out of: the golden values of Core ML's own tests, and numbers
of a plain program; both families."""

import numpy as np
from coreml_run import mb
from mil_cases import f, rng

MODES = ["CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST",
         "CENTER_SIZE_WIDTH_FIRST"]
SAMPLINGS = ["STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS",
             "UNALIGN_CORNERS"]
IMAGE = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)


def points(begin, end, count, sampling):
    length = abs(end - begin)
    pixels = length + 1
    i = np.arange(count)
    if sampling == "DEFAULT":
        at = i * pixels / count
    elif sampling == "UNALIGN_CORNERS":
        at = (i + 0.5) * pixels / count - 0.5
    elif sampling == "OFFSET_CORNERS":
        at = (i + 0.5) * max(1, length) / count
    elif count > 1:
        at = i * length / (count - 1)
    else:
        at = i + (length / 2 if sampling == "ALIGN_CORNERS" else 0)
    return begin + np.sign(end - begin) * np.clip(at, 0, length)


def crop(x, box, size, sampling, mode=0, normalized=False, scale=1, pad=0):
    """x (C,H,W), box of four numbers."""
    box = np.asarray(box, np.float64)
    if mode % 2:
        box = box[[1, 0, 3, 2]]
    height, width = x.shape[1:]
    box = box * scale * (np.array([height - 1, width - 1] * 2) if normalized else 1)
    if mode >= 2:
        box = np.concatenate([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2])
    rows, cols = (points(box[k], box[k + 2], size[k], sampling) for k in range(2))
    out = np.full((x.shape[0], *size), pad, np.float64)
    for i, row in enumerate(rows):
        for j, col in enumerate(cols):
            if 0 <= row <= height - 1 and 0 <= col <= width - 1:
                t, l = int(row), int(col)
                b, r = min(t + 1, height - 1), min(l + 1, width - 1)
                dy, dx = row - t, col - l
                out[:, i, j] = ((1 - dy) * ((1 - dx) * x[:, t, l] + dx * x[:, t, r])
                                + dy * ((1 - dx) * x[:, b, l] + dx * x[:, b, r]))
    return out.astype(np.float32)


def thin(boxes, scores, overlap, threshold, most, per_class):
    """Of one image: boxes (N,4), scores (N,C); as lists of `most`."""
    best, kind = scores.max(1), scores.argmax(1)
    stay = [i for i in np.argsort(-best, kind="stable") if best[i] >= threshold]
    stay = stay or [int(best.argmax())]
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    kept = []
    for i in stay:
        def covers(k):
            side = np.minimum(high[i], high[k]) - np.maximum(low[i], low[k])
            common = np.prod(np.maximum(side, 0))
            return common / (boxes[i, 2:].prod() + boxes[k, 2:].prod() - common) > overlap

        if not any(covers(k) for k in kept if not per_class or kind[k] == kind[i]):
            kept.append(i)
    kept = kept[:most]
    more = most - len(kept)
    return (np.pad(boxes[kept], ((0, more), (0, 0))), np.pad(scores[kept], ((0, more), (0, 0))),
            np.pad(np.array(kept), (0, more), constant_values=-1), len(kept))


GOLDEN = [  # box, size, pixels of IMAGE, all with ALIGN_CORNERS
    ([1, 1, 2, 2], (2, 2), [6, 7, 10, 11], {}),
    ([1, 1, 2, 2], (4, 4), [6, 19 / 3, 20 / 3, 7, 22 / 3, 23 / 3, 8, 25 / 3, 26 / 3, 9, 28 / 3,
                            29 / 3, 10, 31 / 3, 32 / 3, 11], {}),
    ([1, 1, 2, 2], (1, 1), [8.5], {}),
    ([0, 0, 1 / 3, 1 / 3], (2, 2), [1, 2, 5, 6], {"normalized": True}),
    ([2, 2, 1, 1], (2, 2), [11, 10, 7, 6], {}),
    ([1.5, 1.5, 1, 1], (2, 2), [6, 7, 10, 11], {"mode": 2}),
]
IMAGES = f(3, 2, 7, 9)
BOXES = np.array([[0, 0, 6, 8], [1.5, 2, 4.25, 7], [5, 6, 2, 1], [3, 3, 3, 3], [-1, 2, 4, 10]], "f")
WHICH = np.array([2, 0, 1, 1, 0], np.int32)
DETECTED = np.concatenate([rng.uniform(0, 4, (2, 12, 2)), rng.uniform(1, 3, (2, 12, 2))],
                          2).astype("f")
SCORES = rng.uniform(0, 1, (2, 12, 3)).astype("f")


def thinned(overlap, threshold, most, per_class):
    every = [thin(b, s, overlap, threshold, most, per_class) for b, s in zip(DETECTED, SCORES)]
    return [np.stack(part) for part in zip(*every)]


NMS = {"all": (0.3, 0.4, 6, False), "classes": (0.2, 0.5, 8, True), "few": (0.1, 0.2, 2, False),
       "long": (0.3, 0.1, 15, True), "none": (0.5, 2.0, 3, False)}

"""Trains a narrow MobileNetV2 (torchvision layout) on the handwritten digits of scikit-learn.

    python3 tools/training/mobilenetv2.py   # writes data/weights/mobilenetv2*

A digit of 8 x 8 grey values becomes a PICTURE x PICTURE image with a margin on every side, because
the usual preprocessing (shorter side to 256, centre crop of 224) cuts an eighth of it away.
"""

import os
import sys

import cv2
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F

import common

sys.path.insert(0, os.path.join(common.ROOT, "tests"))
from reference.mobilenetv2 import MobileNetV2  # noqa: E402

LABELS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
WIDTH = 0.25
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

PICTURE, DIGIT = 160, 128  # pixels of the picture and of the digit in its middle
RESIZE, CROP = 256, 224  # what the program does to a picture
# Side and epochs: small pictures first, the size of use last; the rate falls anew in each stage.
STAGES = [(64, 20), (112, 5), (224, 7)]
BATCH, RATE, SEED = 32, 2e-3, 31


def digits():
    """Train and held-out 8 x 8 float32 images in 0..1 and their classes; the split is fixed."""
    data = load_digits()
    images = (data.images / 16).astype(np.float32)
    return train_test_split(
        images, data.target.astype(np.int64), test_size=360, random_state=SEED, stratify=data.target
    )


def picture(digit):
    """The digit as people get to see it: PICTURE x PICTURE uint8, white on black, with a margin."""
    large = cv2.resize(digit, (DIGIT, DIGIT), interpolation=cv2.INTER_LINEAR)
    margin = (PICTURE - DIGIT) // 2
    return np.uint8(np.pad(large, margin) * 255 + 0.5)


def matrix(side, angle=0.0, scale=1.0, shift=(0, 0)):
    """From the middle of a picture to that of a crop of `side`, at the scale of 256 to 224."""
    zoom = scale * side / CROP * RESIZE / PICTURE
    c, s = np.cos(angle) * zoom, np.sin(angle) * zoom
    middle = (PICTURE - 1) / 2
    to = (side - 1) / 2
    return np.float32(
        [
            [c, -s, to + shift[0] * side - c * middle + s * middle],
            [s, c, to + shift[1] * side - s * middle - c * middle],
        ]
    )


def normalised(grey):
    """(N,H,W) in 0..1 -> (N,3,H,W) as torchvision's weights expect it."""
    x = torch.from_numpy(grey)[:, None].expand(-1, 3, -1, -1)
    return (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(DEVIATION).view(1, 3, 1, 1)


def batch(pictures, side, rng):
    """Pictures turned, shifted, scaled, with other contrasts; None for rng: as they are."""
    out = np.empty((len(pictures), side, side), np.float32)
    for i, image in enumerate(pictures):
        if rng is None:
            out[i] = cv2.warpAffine(image, matrix(side), (side, side)) / np.float32(255)
            continue
        place = matrix(
            side, rng.normal(0, 0.12), np.exp(rng.normal(0, 0.08)), rng.normal(0, 0.025, 2)
        )
        moved = cv2.warpAffine(image, place, (side, side)) / np.float32(255)
        out[i] = np.clip(moved * rng.uniform(0.75, 1.1) + rng.uniform(0, 0.08), 0, 1)
    return normalised(out)


def accuracy(model, pictures, wanted, side):
    model.eval()
    with torch.no_grad():
        found = [
            model.logits(batch(pictures[i : i + BATCH], side, None)).argmax(1)
            for i in range(0, len(wanted), BATCH)
        ]
    model.train()
    return float((torch.cat(found).numpy() == wanted).mean())


def main():
    common.one_thread()
    common.seed_all(SEED)
    train, held, train_classes, held_classes = digits()
    train, held = [picture(x) for x in train], [picture(x) for x in held]
    model = MobileNetV2(WIDTH, len(LABELS)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=1e-3)
    state_path = os.path.join(common.work_folder("mobilenetv2"), "mobilenetv2.pt")
    state = common.load_state(state_path, model, optimizer)
    rng = state["rng"] if state else np.random.default_rng([SEED, 0])
    step = state["step"] if state else 0
    each = len(train) // BATCH
    sides = [side for side, epochs in STAGES for _ in range(epochs)]
    steps = each * len(sides)
    progress = common.Progress("mobilenetv2", steps, BATCH, step)
    for epoch in range(step // each, len(sides)):
        order = rng.permutation(len(train))
        for i in range(each):
            chosen = order[i * BATCH : (i + 1) * BATCH]
            length = each * sides.count(sides[epoch])
            within = step - each * sides.index(sides[epoch])
            common.set_rate(optimizer, common.cosine(within, length, RATE, 1e-5, warmup=20))
            x = batch([train[j] for j in chosen], sides[epoch], rng).contiguous(
                memory_format=torch.channels_last
            )
            logits = model.logits(x)  # depthwise layers gain nothing from bfloat16
            loss = F.cross_entropy(
                logits, torch.from_numpy(train_classes[chosen]), label_smoothing=0.05
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            progress.step(step, loss.item())
        common.save_state(state_path, step, model, optimizer, rng=rng)
    path = os.path.join(common.WEIGHTS, "mobilenetv2.safetensors")
    common.save_half(
        path, model.state_dict(), "mobilenetv2", "mobilenetv2.py", "handwritten digits, ten classes"
    )
    with open(os.path.join(common.WEIGHTS, "mobilenetv2_labels.txt"), "w") as labels:
        labels.write("\n".join(LABELS) + "\n")
    progress.write(f"held-out accuracy {100 * accuracy(model, held, held_classes, CROP):.2f} %")


if __name__ == "__main__":
    main()

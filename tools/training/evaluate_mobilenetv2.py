"""Figures of the shipped MobileNetV2, on held-out digits, with the usual preprocessing."""

import os

import cv2
import numpy as np

import common
import mobilenetv2
import run_arrays

WEIGHTS = os.path.join(common.WEIGHTS, "mobilenetv2.safetensors")
BATCH = 60


def prepared(digit):
    """The picture a person would give, resized to 256 and cropped to 224: (3,224,224)."""
    side, cut = mobilenetv2.RESIZE, (mobilenetv2.RESIZE - mobilenetv2.CROP) // 2
    large = cv2.resize(mobilenetv2.picture(digit), (side, side), interpolation=cv2.INTER_LINEAR)
    grey = np.float32(large[cut:-cut, cut:-cut]) / 255
    return mobilenetv2.normalised(grey[None])[0].numpy()


def figures(program):
    """(name, value, bound, passes) of each figure."""
    _, digits, _, wanted = mobilenetv2.digits()
    found = []
    for i in range(0, len(digits), BATCH):
        images = np.stack([prepared(digit) for digit in digits[i : i + BATCH]])
        probabilities = run_arrays.run(
            program, "mobilenetv2", WEIGHTS, {"image": images}, "classLabelProbs"
        )
        found.append(probabilities.argmax(1))
    right = 100 * np.mean(np.concatenate(found) == wanted)
    return [
        (f"MobileNetV2: held-out accuracy on {len(wanted)} digits, %", right, ">= 97", right >= 97)
    ]

"""How far `run-model ffdnet --sigma auto` is off: clean images with known noise, as 8-bit files.

    python bench/noise_estimate.py --weights FFDNET.pth CLEAN_FOLDER...

Prints a Markdown table: for each level the mean error and the largest one over all images, in
percent. The weights play no part in the estimate.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LEVELS = (5, 10, 15, 25, 50, 75)


def estimates(program, weights, folder):
    arguments = [program, "ffdnet", folder, "--weights", weights, "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return [json.loads(line)["sigma"] for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run-model", default=ROOT / "build" / "release" / "run-model")
    parser.add_argument("--weights", required=True)
    parser.add_argument("folders", nargs="+", type=Path)
    options = parser.parse_args()
    clean = [image for folder in options.folders for path in sorted(folder.iterdir())
             if (image := cv2.imread(str(path), cv2.IMREAD_UNCHANGED)) is not None]
    rng = np.random.default_rng(0)
    print(f"| sigma | mean error | largest error | ({len(clean)} images)\n|---|---|---|")
    for level in LEVELS:
        with tempfile.TemporaryDirectory() as folder:
            for i, image in enumerate(clean):
                noisy = np.clip(np.round(image + rng.normal(0, level, image.shape)), 0, 255)
                cv2.imwrite(f"{folder}/{i:03}.png", noisy.astype(np.uint8))
            found = np.array(estimates(options.run_model, options.weights, folder)) / level - 1
        print(f"| {level} | {found.mean():+.1%} | {np.abs(found).max():.0%} |")


main()

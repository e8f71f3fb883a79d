"""Makes s3fd_faces.h: the faces that the reference decoder finds in maps of random numbers.

The maps come from a small generator of random numbers that test_pipeline_s3fd.c has too, so that
only the faces need storing.

    python tests/golden/make_s3fd_faces.py > tests/golden/s3fd_faces.h
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from reference import s3fd  # noqa: E402

SIZES = [(24, 32), (12, 16), (6, 8), (7, 8), (4, 4), (2, 2)]  # of an image of 96x128


class Generator:
    def __init__(self, seed):
        self.state = seed

    def array(self, *shape):
        """Numbers from -1 to 1 in steps of 2^-15, exact in float32."""
        values = np.empty(int(np.prod(shape)), np.float32)
        for i in range(values.size):
            self.state = (self.state * 1664525 + 1013904223) % 2**32
            values[i] = (self.state >> 16) / 32768 - 1
        return torch.from_numpy(values.reshape(shape))


def maps(seed, bias):
    """`bias` is added to the background: the higher, the fewer faces."""
    g = Generator(seed)
    out = []
    for height, width in SIZES:
        cls = g.array(1, 2, height, width) * 4
        cls[:, 0] += bias
        out += [cls, g.array(1, 4, height, width) * 2]
    return out


print("// Made by make_s3fd_faces.py. x1 y1 x2 y2 score, best first.")
print("#ifndef RML_TESTS_GOLDEN_S3FD_FACES_H\n#define RML_TESTS_GOLDEN_S3FD_FACES_H\n")
print("static const float s3fd_golden[][5] = {")
counts = []
for seed, bias in ((1, 5.5), (2, 3.0), (3, 9.0)):
    rows = s3fd.decode(maps(seed, bias))
    rows = s3fd.suppress(rows) if len(rows) else rows
    rows = rows[rows[:, 4] > s3fd.FINAL_SCORE]
    counts.append(len(rows))
    for row in rows:
        print("    {" + ", ".join(f"{v:.9e}f" for v in map(float, row)) + "},")
print("};")
print("static const int s3fd_golden_counts[3] = {" + ", ".join(map(str, counts)) + "};")
print("\n#endif")

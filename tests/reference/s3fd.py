"""S3FD face detector: the network at any width, its decoding and its suppression.

Traps: fc6 pads by 3, so its map grows by 4; the L2 norm adds its epsilon outside the root; the
heads of the first three levels see normalised features while the trunk goes on with the others; the
first class head has three background channels of which the largest counts.
"""

import numpy as np
import torch
from torch import nn

from .random_init import he_init

MEAN = (104, 117, 123)  # subtracted from R, G, B in this order, as upstream does
CANDIDATE_SCORE = 0.05
FINAL_SCORE = 0.5
NMS_IOU = 0.3
OUTPUT_NAMES = [f"{kind}{level}" for level in range(1, 7) for kind in ("cls", "reg")]


class L2Norm(nn.Module):
    def __init__(self, channels, scale):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), float(scale)))

    def forward(self, x):
        norm = x.pow(2).sum(dim=1, keepdim=True).sqrt() + 1e-10
        return x / norm * self.weight.view(1, -1, 1, 1)


class S3FD(nn.Module):
    def __init__(self, width: float = 1.0):
        super().__init__()

        def w(channels):
            return max(1, round(channels * width))

        def conv(cin, cout, kernel=3, stride=1, pad=1):
            return nn.Conv2d(cin if cin == 3 else w(cin), w(cout), kernel, stride, pad)

        def head(cin, cout):
            return nn.Conv2d(w(cin), cout, 3, 1, 1)

        self.conv1_1, self.conv1_2 = conv(3, 64), conv(64, 64)
        self.conv2_1, self.conv2_2 = conv(64, 128), conv(128, 128)
        self.conv3_1, self.conv3_2, self.conv3_3 = conv(128, 256), conv(256, 256), conv(256, 256)
        self.conv4_1, self.conv4_2, self.conv4_3 = conv(256, 512), conv(512, 512), conv(512, 512)
        self.conv5_1, self.conv5_2, self.conv5_3 = conv(512, 512), conv(512, 512), conv(512, 512)
        self.fc6, self.fc7 = conv(512, 1024, 3, 1, 3), conv(1024, 1024, 1, 1, 0)
        self.conv6_1, self.conv6_2 = conv(1024, 256, 1, 1, 0), conv(256, 512, 3, 2, 1)
        self.conv7_1, self.conv7_2 = conv(512, 128, 1, 1, 0), conv(128, 256, 3, 2, 1)
        self.conv3_3_norm = L2Norm(w(256), 10)
        self.conv4_3_norm = L2Norm(w(512), 8)
        self.conv5_3_norm = L2Norm(w(512), 5)
        self.conv3_3_norm_mbox_conf, self.conv3_3_norm_mbox_loc = head(256, 4), head(256, 4)
        self.conv4_3_norm_mbox_conf, self.conv4_3_norm_mbox_loc = head(512, 2), head(512, 4)
        self.conv5_3_norm_mbox_conf, self.conv5_3_norm_mbox_loc = head(512, 2), head(512, 4)
        self.fc7_mbox_conf, self.fc7_mbox_loc = head(1024, 2), head(1024, 4)
        self.conv6_2_mbox_conf, self.conv6_2_mbox_loc = head(512, 2), head(512, 4)
        self.conv7_2_mbox_conf, self.conv7_2_mbox_loc = head(256, 2), head(256, 4)

    def heads(self):
        names = ["conv3_3_norm", "conv4_3_norm", "conv5_3_norm", "fc7", "conv6_2", "conv7_2"]
        return [(getattr(self, n + "_mbox_conf"), getattr(self, n + "_mbox_loc")) for n in names]

    def forward(self, x):
        """Image with the mean taken off (N,3,H,W) to [cls1, reg1, ..., cls6, reg6]."""

        def pool(t):
            return nn.functional.max_pool2d(t, 2, 2)

        def run(t, *layers):
            for layer in layers:
                t = torch.relu(layer(t))
            return t

        x = pool(run(x, self.conv1_1, self.conv1_2))
        x = pool(run(x, self.conv2_1, self.conv2_2))
        f3 = run(x, self.conv3_1, self.conv3_2, self.conv3_3)
        f4 = run(pool(f3), self.conv4_1, self.conv4_2, self.conv4_3)
        f5 = run(pool(f4), self.conv5_1, self.conv5_2, self.conv5_3)
        f7 = run(pool(f5), self.fc6, self.fc7)
        f6_2 = run(f7, self.conv6_1, self.conv6_2)
        f7_2 = run(f6_2, self.conv7_1, self.conv7_2)
        features = [
            self.conv3_3_norm(f3),
            self.conv4_3_norm(f4),
            self.conv5_3_norm(f5),
            f7,
            f6_2,
            f7_2,
        ]
        outputs = []
        for level, ((conf, loc), feature) in enumerate(zip(self.heads(), features)):
            cls = conf(feature)
            if level == 0:
                background = cls[:, 0:3].amax(dim=1, keepdim=True)
                cls = torch.cat([background, cls[:, 3:4]], dim=1)
            outputs += [cls, loc(feature)]
        return outputs


def random_s3fd(width: float = 1.0, seed: int = 1) -> S3FD:
    g = torch.Generator().manual_seed(seed)
    model = S3FD(width)
    he_init(model, g)
    with torch.no_grad():
        for norm in (model.conv3_3_norm, model.conv4_3_norm, model.conv5_3_norm):
            norm.weight.mul_(torch.empty_like(norm.weight).uniform_(0.7, 1.4, generator=g))
    return model.eval()


def random_image(batch: int, height: int, width: int, seed: int) -> torch.Tensor:
    """(N,3,H,W) as the network takes it: whole numbers 0..255 less the mean."""
    g = torch.Generator().manual_seed(seed)
    image = torch.randint(0, 256, (batch, 3, height, width), generator=g).float()
    return image - torch.tensor(MEAN, dtype=torch.float32).view(1, 3, 1, 1)


# ---- decoding ----------------------------------------------------------------------------------


def decode(outputs) -> np.ndarray:
    """Raw outputs of ONE image to candidate rows (x1, y1, x2, y2, score), float32, level order."""
    rows = []
    for level in range(6):
        cls, reg = outputs[2 * level], outputs[2 * level + 1]
        face = torch.softmax(cls, dim=1)[0, 1].numpy()
        loc = reg[0].numpy().astype(np.float32)
        stride = np.float32(2 ** (level + 2))
        side = np.float32(4) * stride
        for y, x in zip(*np.where(face > CANDIDATE_SCORE)):
            centre = np.array([stride / 2 + x * stride, stride / 2 + y * stride], np.float32)
            centre = centre + loc[0:2, y, x] * np.float32(0.1) * side
            size = side * np.exp(loc[2:4, y, x] * np.float32(0.2))
            corner = centre - size / np.float32(2)
            rows.append([*corner, *(corner + size), face[y, x]])
    return np.array(rows, np.float32).reshape(-1, 5)


def suppress(rows: np.ndarray) -> np.ndarray:
    """Greedy suppression by score, areas and overlaps counted with the +1 of whole pixels."""
    x1, y1, x2, y2, score = rows.T
    area = (x2 - x1 + 1) * (y2 - y1 + 1)
    order = np.argsort(-score, kind="stable")
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        w = np.maximum(0, np.minimum(x2[best], x2[rest]) - np.maximum(x1[best], x1[rest]) + 1)
        h = np.maximum(0, np.minimum(y2[best], y2[rest]) - np.maximum(y1[best], y1[rest]) + 1)
        overlap = w * h
        order = rest[overlap / (area[best] + area[rest] - overlap) <= NMS_IOU]
    return rows[kept]


def detect_all(model: S3FD, frame_bgr: np.ndarray) -> np.ndarray:
    """Every face of one BGR uint8 frame, best first, as float rows with score."""
    image = frame_bgr[..., ::-1].astype(np.float64) - np.array(MEAN)
    tensor = torch.from_numpy(image.transpose(2, 0, 1)[None]).float()
    with torch.no_grad():
        rows = decode(model(tensor))
    if not len(rows):
        return rows
    rows = suppress(rows)
    return rows[rows[:, 4] > FINAL_SCORE]


def detect(model: S3FD, frame_bgr: np.ndarray):
    """(x1, y1, x2, y2) of the best face as ints, or None."""
    rows = detect_all(model, frame_bgr)
    if not len(rows):
        return None
    return tuple(int(v) for v in np.clip(rows[0, :4], 0, None))


# ---- a detector that finds something ------------------------------------------------------------

# The face the detector below is made for: an ellipse-like bump of this BGR colour.
FACE_BGR = (40, 60, 230)


def red_blob_s3fd(seed: int = 1, width: float = 1.0 / 32) -> S3FD:
    """A narrow S3FD that fires on the third level (stride 16, side 64) where the image is red.

    Channel 0 carries redness through the trunk, blurred on the way so that the middle of a blob
    wins; channel 1 is a constant against which the L2 norm measures it. The others are random and
    feed the regression, so that boxes vary. All other levels say background everywhere.
    """
    g = torch.Generator().manual_seed(seed)
    model = S3FD(width)
    he_init(model, g, gain=0.5)
    trunk = [
        (name, layer)
        for name, layer in model.named_children()
        if isinstance(layer, nn.Conv2d) and "mbox" not in name
    ]
    with torch.no_grad():
        for name, layer in trunk:
            layer.weight[0:2] = 0
            layer.bias[0:2] = 0
            layer.bias[1] = 4 if name == "conv5_3" else 1
            middle = layer.weight.shape[2] // 2
            if name == "conv1_1":
                layer.weight.mul_(1.0 / 64)  # pixels are -123..151
                # Redness over a threshold; 0 for grey of any brightness.
                layer.weight[0, :, middle, middle] = torch.tensor([0.02, -0.01, -0.01])
                layer.bias[0] = -0.8
            elif name in ("conv5_2", "conv5_3"):
                layer.weight[0, 0] = 1.0 / 9
            else:
                layer.weight[0, 0, middle, middle] = 1
        for level, (conf, loc) in enumerate(model.heads()):
            conf.weight.zero_()
            conf.bias.zero_()
            conf.bias[-1] = -12
            loc.weight.mul_(0.2)
            loc.bias.zero_()
            if level == 2:
                conf.weight[1, 0, 1, 1] = 6.0
                conf.bias[1] = -13
                loc.bias.copy_(torch.tensor([0.278, -0.3, -0.7, -0.2]))
    return model.eval()

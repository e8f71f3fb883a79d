"""Trains the narrow S3FD face detector on drawn heads and writes data/weights/s3fd.safetensors.

    python3 tools/training/s3fd.py      about 50 minutes of one core; goes on where it was stopped

The keys and layers are the published ones at an eighth of the width. Batch norms help the training
and are folded into the convolutions before them at the end; the published network has none.
"""

import os
import sys
from collections import namedtuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import common
import s3fd_scenes

sys.path.insert(0, os.path.join(common.ROOT, "tests"))
from reference.s3fd import MEAN, S3FD  # noqa: E402

NAME = "s3fd"
WIDTH = 1 / 8
PIXELS = 16 * 256 * 256  # of a batch
SAVE_EVERY = 100

Period = namedtuple("Period", "steps rate warmup norms_rest sizes zoom refine box_weight")
# The first period learns what a face is. The second one, with the batch norms at rest, learns which
# anchor fits a face best, so that neighbouring frames choose the same one, and its exact box.
# norms_rest: from this part of the period on the batch norms keep their statistics.
FIRST = Period(2400, 2.5e-3, 100, 0.85, [(256, 256), (320, 320), (256, 320), (240, 320), (384, 384),
                                         (192, 256), (512, 512)], 1.7, False, 1)
SECOND = Period(1200, 1e-3, 0, 0.0, [(256, 256), (320, 320), (240, 320), (384, 384), (512, 512),
                                     (480, 640)], 2.2, True, 3)
STEPS = FIRST.steps + SECOND.steps
LAST_RATE = 1e-5
EXACT = 0.85  # from this part of a period on in single precision, before that in bfloat16

VARIANCES = (0.1, 0.2)
POSITIVE, UNSURE = 0.4, 0.3  # overlap with a face from which an anchor is one, may be one
AT_LEAST = 6  # anchors a face gets, however badly they fit
MINED = 3  # backgrounds counted for every face anchor


# ---- anchors ------------------------------------------------------------------------------------


def anchors(outputs):
    """(A,3) centre x, centre y, side of every cell of every level, as the decoding places them.

    Trap: fc6 pads by 3, so the deeper maps are larger than the picture over their stride and show
    what lies up and left of their anchor; the published weights were trained so.
    """
    levels = []
    for level, cls in enumerate(outputs[0::2]):
        stride = 2 ** (level + 2)
        y, x = np.mgrid[0 : cls.shape[2], 0 : cls.shape[3]].astype(np.float32)
        centre = [stride / 2 + x.ravel() * stride, stride / 2 + y.ravel() * stride]
        levels.append(np.stack([*centre, np.full(x.size, 4 * stride, np.float32)], 1))
    return np.concatenate(levels)


def overlaps(priors, boxes):
    """Intersection over union of A anchors and n boxes: (A,n)."""
    half = priors[:, 2:3] / 2
    width = np.minimum(priors[:, 0:1] + half, boxes[:, 2]) - np.maximum(
        priors[:, 0:1] - half, boxes[:, 0]
    )
    height = np.minimum(priors[:, 1:2] + half, boxes[:, 3]) - np.maximum(
        priors[:, 1:2] - half, boxes[:, 1]
    )
    both = np.maximum(0, width) * np.maximum(0, height)
    return both / (priors[:, 2:3] ** 2 + s3fd_scenes.area(boxes) - both)


def match(priors, boxes, learned, refine):
    """What each anchor should say: labels (A) 1 face, 0 background, -1 neither; offsets (A,4).

    To refine, the label of a face's anchor falls from 1 for the one that fits best to 0.
    """
    labels = np.zeros(len(priors), np.float32)
    offsets = np.zeros((len(priors), 4), np.float32)
    if len(boxes) == 0:
        return labels, offsets
    iou = overlaps(priors, boxes)
    nearest = iou.argmax(1)
    best = iou.max(1)
    labels[best >= UNSURE] = -1
    labels[(best >= POSITIVE) & learned[nearest]] = 1
    for face in np.flatnonzero(learned):
        first = np.argsort(-iou[:, face])[:AT_LEAST]
        first = first[iou[first, face] > 0.15]
        nearest[first], labels[first] = face, 1
    face = labels == 1
    box, prior = boxes[nearest[face]], priors[face]
    side = prior[:, 2:3]
    offsets[face, 0:2] = ((box[:, 0:2] + box[:, 2:4]) / 2 - prior[:, 0:2]) / side / VARIANCES[0]
    offsets[face, 2:4] = np.log((box[:, 2:4] - box[:, 0:2]) / side) / VARIANCES[1]
    if refine:
        fit = iou[face, nearest[face]] / iou.max(0)[nearest[face]]
        labels[face] = fit**2
    return labels, offsets


# ---- loss ---------------------------------------------------------------------------------------


def flatten(maps):
    """Maps (N,C,h,w) of all levels to (N,A,C)."""
    return torch.cat([m.flatten(2) for m in maps], 2).transpose(1, 2).float()


def loss_of(outputs, labels, offsets, box_weight):
    """Cross entropy of face anchors and the hardest backgrounds, and smooth L1 of the boxes."""
    cls, reg = flatten(outputs[0::2]), flatten(outputs[1::2])
    face, background = labels > 0, labels == 0
    count = labels[face].sum().clamp(min=1)
    said = functional.log_softmax(cls, 2)
    wanted = labels.clamp(min=0)
    entropy = -(wanted * said[..., 1] + (1 - wanted) * said[..., 0])
    mined = min(int(background.sum()), MINED * int(face.sum()) + 4 * len(labels))
    hardest = entropy[background].topk(mined).values
    classes = (entropy[face].sum() + hardest.sum()) / count
    apart = functional.smooth_l1_loss(reg[face], offsets[face], reduction="none", beta=0.2).sum(1)
    return classes + box_weight * (apart * labels[face]).sum() / count


# ---- network ------------------------------------------------------------------------------------


def normed(model):
    """Names of the convolutions trained with a batch norm: the trunk's, without those of the
    largest maps, where it would cost as much as the convolution."""
    names = [name for name, _ in model.named_children()]
    return [name for name in names if not any(x in name for x in ("norm", "mbox", "conv1"))]


def make_model():
    model = S3FD(WIDTH)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    for conf, loc in model.heads():
        conf.weight.data.mul_(0.1)
        loc.weight.data.mul_(0.1)
        conf.bias.data[-1] = -3  # few anchors are faces
    for name in normed(model):
        conv = getattr(model, name)
        setattr(model, name, nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels, momentum=0.03)))
    model.conv1_1.weight.data.div_(64)  # pixels are -123..151
    return model.to(memory_format=torch.channels_last)


def folded(model):
    """The tensors under the published names: every batch norm goes into its convolution."""
    tensors = dict(model.state_dict())
    out = {key: value for key, value in tensors.items() if key.split(".")[0] not in normed(model)}
    for name in normed(model):
        conv, norm = getattr(model, name)
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        out[name + ".weight"] = conv.weight * scale[:, None, None, None]
        out[name + ".bias"] = (conv.bias - norm.running_mean) * scale + norm.bias
    return out


def rest_norms(model):
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


# ---- training -----------------------------------------------------------------------------------


def to_input(pictures):
    """uint8 BGR to what the network reads: RGB less the mean, in this order."""
    image = torch.from_numpy(np.ascontiguousarray(pictures[..., ::-1])).float()
    image = image - torch.tensor(MEAN, dtype=torch.float32)
    return image.permute(0, 3, 1, 2)  # channels last in memory already


def train_step(model, optimizer, period, pictures, targets, half):
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        outputs = model(to_input(pictures))
    priors = anchors(outputs)
    labels, offsets = zip(*(match(priors, *target, period.refine) for target in targets))
    labels, offsets = torch.from_numpy(np.stack(labels)), torch.from_numpy(np.stack(offsets))
    loss = loss_of(outputs, labels, offsets, period.box_weight)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 10)
    optimizer.step()
    return loss.item()


def main():
    common.one_thread()
    common.seed_all(1)
    scenes = s3fd_scenes.load()
    empty = np.flatnonzero(np.isnan(scenes[1][:, 0, 0]))
    model = make_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=FIRST.rate, weight_decay=1e-3)
    path = os.path.join(common.work_folder(NAME), "state.pt")
    state = common.load_state(path, model, optimizer)
    start = state["step"] if state else 0
    progress = common.Progress(NAME, STEPS, PIXELS // (256 * 256), start)
    for step in range(start, STEPS):
        period = FIRST if step < FIRST.steps else SECOND
        done = step if period is FIRST else step - FIRST.steps
        rng = np.random.default_rng([3, step])
        height, width = period.sizes[rng.integers(len(period.sizes))]
        count = max(1, PIXELS // (height * width))
        batch = s3fd_scenes.batch(rng, scenes, empty, count, height, width, period.zoom)
        model.train()
        if done >= period.norms_rest * period.steps:
            rest_norms(model)
        rate = common.cosine(done, period.steps, period.rate, LAST_RATE, period.warmup)
        common.set_rate(optimizer, rate)
        loss = train_step(model, optimizer, period, *batch, done < EXACT * period.steps)
        progress.step(step + 1, loss)
        if (step + 1) % SAVE_EVERY == 0:
            common.save_state(path, step + 1, model, optimizer)
    note = "made for faces drawn by this project, not for real ones"
    output = os.path.join(common.WEIGHTS, NAME + ".safetensors")
    common.save_half(output, folded(model), NAME, "s3fd.py", note)


if __name__ == "__main__":
    main()

"""SyncNet_color at any width: is this the sound of these lips? And the measure that is made of it.

Keys are those of lipsync_expert.pth. Traps: the sound goes in and comes out first; channel 3*t + c
of the picture is colour c of frame t; both embeddings end in a ReLU and have length 1; the sound's
encoder has one block more at 256 than the generator's.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .random_init import disturb_batch_norms, he_init
from .wav2lip import ConvBlock, random_mel, random_picture

WINDOW = 5  # frames
SHIFTS = 15  # frames, each way
SAMPLES = 640  # of a frame
FACE = [  # output channels, kernel, stride, pad, residual
    (32, 7, 1, 3, False),
    (64, 5, (1, 2), 1, False), *[(64, 3, 1, 1, True)] * 2,
    (128, 3, 2, 1, False), *[(128, 3, 1, 1, True)] * 3,
    (256, 3, 2, 1, False), *[(256, 3, 1, 1, True)] * 2,
    (512, 3, 2, 1, False), *[(512, 3, 1, 1, True)] * 2,
    (512, 3, 2, 1, False), (512, 3, 1, 0, False), (512, 1, 1, 0, False),
]  # fmt: skip
AUDIO = [
    (32, 3, 1, 1, False), *[(32, 3, 1, 1, True)] * 2,
    (64, 3, (3, 1), 1, False), *[(64, 3, 1, 1, True)] * 2,
    (128, 3, 3, 1, False), *[(128, 3, 1, 1, True)] * 2,
    (256, 3, (3, 2), 1, False), *[(256, 3, 1, 1, True)] * 2,
    (512, 3, 1, 0, False), (512, 1, 1, 0, False),
]  # fmt: skip


class SyncNet(nn.Module):
    def __init__(self, width: float = 1.0, least: int = 1):
        super().__init__()

        def stack(channels, table):
            layers = []
            for out, kernel, stride, pad, residual in table:
                out = max(least, round(out * width))
                layers.append(ConvBlock(channels, out, kernel, stride, pad, residual))
                channels = out
            return nn.Sequential(*layers)

        self.face_encoder = stack(3 * WINDOW, FACE)
        self.audio_encoder = stack(1, AUDIO)

    def forward(self, audio, face):
        a, v = self.audio_encoder(audio).flatten(1), self.face_encoder(face).flatten(1)
        return F.normalize(a), F.normalize(v)


def random_inputs(batch: int, seed: int):
    """Mel windows and five lower halves of faces, each a smooth outline under noise."""
    g = torch.Generator().manual_seed(seed)
    return random_mel(batch, g), random_picture((batch, 3 * WINDOW, 48, 96), (4, 7), g)


def random_syncnet(width: float = 1.0, seed: int = 1) -> SyncNet:
    g = torch.Generator().manual_seed(seed)
    model = SyncNet(width)
    he_init(model, g)
    audio, face = random_inputs(8, seed + 1)
    disturb_batch_norms(model, lambda: model(audio, face), g)
    return model.eval()


# The expert on latents, kind "u" or "xl".
LATENT_WIDTHS = {
    "u": [128] * 8 + [256] * 3 + [512] * 6,
    "xl": [128] * 4 + [256] * 4 + [512] * 9,
}


class SyncNetLatent(nn.Module):
    def __init__(self, kind="u", width=1.0, frames=5, heard=768, rows=10):
        super().__init__()
        channels, layers = 4 * frames, []
        for (_, kernel, stride, pad, residual), out in zip(FACE, LATENT_WIDTHS[kind]):
            stride = 2 if stride == (1, 2) else stride
            out = round(out * width)
            layers.append(ConvBlock(channels, out, kernel, stride, pad, residual))
            channels = out
        self.face_encoder = nn.Sequential(*layers)
        w, last = round(256 * width), channels
        self.audio_adapter = nn.Sequential(
            ConvBlock(heard, w, 1, 1, 0), ConvBlock(w, w, (1, rows), 1, 0),
            ConvBlock(w, last, 1, 1, 0),
        )  # fmt: skip
        self.logit_scale = nn.Parameter(torch.tensor(2.6593))

    def forward(self, audio, latents):
        a = self.audio_adapter(audio.permute(0, 3, 1, 2)).flatten(1)
        v = self.face_encoder(latents).flatten(1)
        return F.normalize(a), F.normalize(v)


def random_latent(kind="u", width=1.0, seed=1, **sizes):
    """The network, and a function of a batch and a seed that makes inputs for it."""
    frames, heard, rows = (sizes.get(k, d) for k, d in
                           (("frames", 5), ("heard", 768), ("rows", 10)))

    def inputs(batch, seed):
        g = torch.Generator().manual_seed(seed)
        return (torch.randn(batch, 1, rows, heard, generator=g),
                torch.randn(batch, 4 * frames, 96, 96, generator=g))

    g = torch.Generator().manual_seed(seed)
    model = SyncNetLatent(kind, width, frames, heard, rows)
    he_init(model, g)
    example = inputs(4, seed + 1)
    disturb_batch_norms(model, lambda: model(*example), g)
    return model.eval(), inputs


# ---- the measure --------------------------------------------------------------------------------


def score(table):
    """Offset in frames, LSE-D, LSE-C, median of M; of rows of 31 distances."""
    means = table.mean(0)
    best = int(means.argmin())
    middle = float(np.sort(means)[15])
    return SHIFTS - best, float(means[best]), middle - float(means[best]), middle


def measure(lips, sounds, faces=None):
    """As SyncNetInstance.py: lips and sounds (n, C); faces says which windows show one.

    Gives the table of distances, the score of the whole, and the confidence of every window with a
    face.
    """
    from scipy.signal import medfilt

    lips, sounds = (torch.as_tensor(x) for x in (lips, sounds))
    padded = F.pad(sounds, (0, 0, SHIFTS, SHIFTS))
    table = torch.stack([
        F.pairwise_distance(lips[[i]].expand(2 * SHIFTS + 1, -1), padded[i:i + 2 * SHIFTS + 1])
        for i in range(len(lips))
    ]).numpy()  # fmt: skip
    seen = table if faces is None else table[faces]
    whole = score(seen)
    confidence = medfilt(whole[3] - seen[:, SHIFTS - whole[0]], kernel_size=9)
    return table, whole, confidence


def embed(model, frames, boxes, mel, samples):
    """Lips and sounds of every window of a clip at 25 a second; no box: None. Windows without a
    face have arbitrary lips and False in the third array."""
    import cv2

    halves = []
    for frame, box in zip(frames, boxes):
        half = np.zeros((48, 96, 3), np.uint8)
        if box is not None:
            x1, y1, x2, y2 = np.clip(box, 0, [*frame.shape[1::-1]] * 2)
            half = cv2.resize(frame[y1:y2, x1:x2], (96, 96))[48:]
        halves.append(half.astype(np.float32) / 255)
    count = min(len(frames), samples // SAMPLES) - WINDOW
    planes = torch.from_numpy(np.stack(halves).transpose(0, 3, 1, 2))
    face = torch.stack([planes[i:i + WINDOW].reshape(-1, 48, 96) for i in range(count)])
    starts = [int(80.0 * (i / 25.0)) for i in range(count)]
    audio = torch.from_numpy(np.stack([mel[:, s:s + 16] for s in starts]))[:, None]
    with torch.no_grad():
        parts = [model(a, f) for a, f in zip(audio.split(16), face.split(16))]
    sounds, lips = (torch.cat(p) for p in zip(*parts))
    known = [all(b is not None for b in boxes[i:i + WINDOW]) for i in range(count)]
    return lips, sounds, np.array(known)

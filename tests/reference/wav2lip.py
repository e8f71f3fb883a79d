"""Wav2Lip generator at any width: 96x96 faces and 80x16 mel chunks to 96x96 faces.

Keys are those of the published checkpoints. Traps: the residual is added after the batch norm and
before the ReLU; the decoder's tensor comes first in each concatenation; transposed weights are
stored input channels first.
"""

import torch
from torch import nn

from .random_init import disturb_batch_norms, he_init


class ConvBlock(nn.Module):
    def __init__(self, cin, cout, kernel, stride, pad, residual=False):
        super().__init__()
        conv = nn.Conv2d(cin, cout, kernel, stride, pad)
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(cout))
        self.residual = residual

    def forward(self, x):
        y = self.conv_block(x)
        return torch.relu(y + x if self.residual else y)


class UpBlock(nn.Module):
    def __init__(self, cin, cout, stride, pad, out_pad):
        super().__init__()
        conv = nn.ConvTranspose2d(cin, cout, 3, stride, pad, out_pad)
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(cout))

    def forward(self, x):
        return torch.relu(self.conv_block(x))


class Wav2Lip(nn.Module):
    def __init__(self, width: float = 1.0, least: int = 1):
        super().__init__()

        def w(channels):
            return max(least, round(channels * width))

        def same(channels, count):
            c = w(channels)
            return [ConvBlock(c, c, 3, 1, 1, residual=True) for _ in range(count)]

        self.audio_encoder = nn.Sequential(
            ConvBlock(1, w(32), 3, 1, 1),
            *same(32, 2),
            ConvBlock(w(32), w(64), 3, (3, 1), 1),
            *same(64, 2),
            ConvBlock(w(64), w(128), 3, 3, 1),
            *same(128, 2),
            ConvBlock(w(128), w(256), 3, (3, 2), 1),
            *same(256, 1),
            ConvBlock(w(256), w(512), 3, 1, 0),
            ConvBlock(w(512), w(512), 1, 1, 0),
        )

        stages = [nn.Sequential(ConvBlock(6, w(16), 7, 1, 3))]
        for cin, cout, extra in [(16, 32, 2), (32, 64, 3), (64, 128, 2), (128, 256, 2)]:
            stages.append(nn.Sequential(ConvBlock(w(cin), w(cout), 3, 2, 1), *same(cout, extra)))
        stages.append(nn.Sequential(ConvBlock(w(256), w(512), 3, 2, 1), *same(512, 1)))
        stages.append(
            nn.Sequential(ConvBlock(w(512), w(512), 3, 1, 0), ConvBlock(w(512), w(512), 1, 1, 0))
        )
        self.face_encoder_blocks = nn.ModuleList(stages)

        decoder = [
            nn.Sequential(ConvBlock(w(512), w(512), 1, 1, 0)),
            nn.Sequential(UpBlock(w(512) + w(512), w(512), 1, 0, 0), *same(512, 1)),
        ]
        for cin, skip, cout in [
            (512, 512, 512),
            (512, 256, 384),
            (384, 128, 256),
            (256, 64, 128),
            (128, 32, 64),
        ]:
            up = UpBlock(w(cin) + w(skip), w(cout), 2, 1, 1)
            decoder.append(nn.Sequential(up, *same(cout, 2)))
        self.face_decoder_blocks = nn.ModuleList(decoder)

        self.output_block = nn.Sequential(
            ConvBlock(w(64) + w(16), w(32), 3, 1, 1), nn.Conv2d(w(32), 3, 1), nn.Sigmoid()
        )

    def forward(self, audio, face):
        return self.speak(self.audio_encoder(audio), face)

    def speak(self, voice, face):
        """The pictures of faces that say what the voice's embedding (N,C,1,1) says."""
        skips = []
        x = face
        for stage in self.face_encoder_blocks:
            x = stage(x)
            skips.append(x)
        x = voice
        for stage in self.face_decoder_blocks:
            x = torch.cat([stage(x), skips.pop()], dim=1)
        return self.output_block(x)


def random_mel(batch: int, g: torch.Generator):
    """Mel chunks, each a smooth outline under noise, over their whole range."""
    coarse = torch.empty(batch, 1, 10, 5).normal_(-0.8, 1.6, generator=g)
    audio = nn.functional.interpolate(coarse, size=(80, 16), mode="bilinear")
    return (audio + torch.empty_like(audio).normal_(0.0, 0.7, generator=g)).clamp_(-4, 4)


def random_picture(shape, coarse, g: torch.Generator):
    """The same in [0,1], with an outline of `coarse` (height, width)."""
    image = torch.rand(*shape[:2], *coarse, generator=g)
    image = nn.functional.interpolate(image, size=shape[2:], mode="bilinear")
    return (0.8 * image + 0.2 * torch.rand(shape, generator=g)).clamp(0, 1)


def random_inputs(batch: int, seed: int, side: int = 96):
    """Mel chunks and faces."""
    g = torch.Generator().manual_seed(seed)
    audio = random_mel(batch, g)
    image = random_picture((batch, 3, side, side), (6, 6), g)
    masked = image.clone()
    masked[:, :, side // 2 :] = 0
    return audio, torch.cat([masked, image], dim=1)


def lift_voice(decoder):
    """The skips bring far more signal than the one pixel that carries the voice; without this a
    wrong mel chunk would change the picture by one grey level."""
    voice = decoder[0][0].conv_block[0].out_channels
    for stage in decoder[1:]:
        up = stage[0].conv_block[0]
        up.weight[:voice].mul_(4)
        voice = up.out_channels


def random_wav2lip(width: float = 1.0, seed: int = 1) -> Wav2Lip:
    """A generator with random weights whose output covers most of (0, 1)."""
    g = torch.Generator().manual_seed(seed)
    model = Wav2Lip(width)
    he_init(model, g)
    with torch.no_grad():
        lift_voice(model.face_decoder_blocks)
    audio, face = random_inputs(8, seed + 1)
    disturb_batch_norms(model, lambda: model(audio, face), g)
    with torch.no_grad():
        logits = torch.logit(model(audio, face).double().clamp(1e-9, 1 - 1e-9))
        spread = logits.std(dim=(0, 2, 3))
        last = model.output_block[1]
        scale = (1.3 / spread).float()
        last.weight.mul_(scale[:, None, None, None])
        last.bias.copy_((last.bias - logits.mean(dim=(0, 2, 3)).float()) * scale)
    return model.eval()

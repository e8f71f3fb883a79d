"""The other Wav2Lip generators, each at any width: 96 and 128 (nota), 256, 288, 384, 512 pixels.

Keys are those of the published classes, geometry is told by what the layers do and not by a table:
compare `rml_wav2lip_kind` in models/wav2lip_kinds.c. Traps: block 0 of a stage has no residual; at
288 the output padding goes by the skip; sam8 at 384 spreads one pixel to 4x4; attention is made of
the skip, mean before maximum, with one kernel for all stages.
"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from . import wav2lip
from .random_init import disturb_batch_norms, he_init

AUDIO_512 = [(32, 1, 2), (64, (3, 1), 2), (128, 3, 2), (256, (3, 2), 1), (512, 0, -1)]
AUDIO_1024 = [
    (32, 1, 2), (64, (3, 1), 2), (128, 3, 2), (256, (3, 2), 2), (512, 1, 2), (1024, 0, -1),
]  # fmt: skip
AUDIO_NOTA = [(8, 1, 0), (16, (3, 1), 0), (32, 3, 0), (64, (3, 2), 0), (128, 0, -1)]


@dataclass(frozen=True)
class Kind:
    side: int
    audio: list
    encoder: list  # (width, blocks behind the first; negative: 1x1 at the bottleneck)
    decoder: list  # (width, blocks behind the first)
    head: tuple = (32,)
    bottleneck: int = 3  # kernel
    second: int = 3  # kernel of the encoder's second stage
    act: str = "relu"  # of all blocks: "relu", "prelu", "prelu-up", "leaky"
    audio_act: str = "relu"
    attention: bool = False
    sam: bool = False  # the kernel of attention is in the file
    refine: str = "none"  # "none", "idle", "run"
    norm: bool = False
    tanh: bool = False


KINDS = {
    "nota96": Kind(
        96, AUDIO_NOTA,
        [(4, 0), (8, 0), (16, 0), (32, 0), (64, 0), (128, 0), (128, -1)],
        [(128, 0), (128, 0), (128, 0), (96, 0), (64, 0), (32, 0), (16, 0)], (8,),
    ),
    "256": Kind(
        256, AUDIO_512,
        [(16, 0), (32, 2), (64, 3), (128, 2), (256, 2), (512, 1), (512, 1), (512, -1)],
        [(512, 0), (512, 1), (512, 1), (512, 2), (384, 2), (256, 2), (128, 2), (64, 2)],
        bottleneck=4,
    ),
    "288": Kind(
        288, AUDIO_512,
        [(16, 0), (32, 1), (32, 2), (64, 3), (128, 2), (256, 2), (512, 1), (512, -1), (512, -1)],
        [(512, 0), (512, 1), (512, 2), (512, 2), (384, 2), (256, 2), (128, 2), (64, 2), (64, 2)],
        second=5,
    ),
    "sam8": Kind(
        384, AUDIO_1024,
        [(16, 3), (32, 3), (64, 3), (128, 3), (256, 3), (512, 3), (1024, 3), (1024, -2)],
        [(1024, 0), (1024, 1), (1024, 2), (768, 2), (512, 2), (256, 2), (128, 2), (64, 2)],
        attention=True, sam=True, refine="idle",
    ),
    "sam9": Kind(
        384, AUDIO_1024,
        [(8, 0), (16, 2), (32, 2), (64, 2), (128, 2), (256, 2), (512, 2), (1024, 2), (1024, -1)],
        [(1024, 0), (1024, 1), (1024, 2), (768, 2), (512, 2), (256, 2), (128, 2), (80, 2), (64, 2)],
        attention=True, sam=True, refine="run", norm=True, tanh=True,
    ),
    "leaky384": Kind(
        384, AUDIO_1024,
        [(8, 0), (16, 2), (32, 2), (64, 3), (128, 2), (256, 2), (512, 2), (1024, 2), (1024, -1)],
        [(1024, 0), (1024, 1), (1024, 2), (768, 2), (512, 2), (256, 2), (128, 2), (64, 2), (32, 2)],
        (16,), act="leaky", audio_act="leaky", refine="run", tanh=True,
    ),
    "leaky512": Kind(
        512, AUDIO_1024,
        [(6, 2), (6, 2), (8, 2), (16, 2), (32, 2), (64, 2), (128, 2), (256, 2), (512, 2),
         (1024, 2)],
        [(1024, 0), (1024, 1), (1024, 2), (768, 2), (512, 2), (256, 2), (128, 2), (80, 2), (64, 2),
         (50, 2)],
        (32, 16), act="leaky", audio_act="leaky", norm=True, tanh=True,
    ),
}  # fmt: skip
KINDS["nota128"] = replace(KINDS["nota96"], side=128, bottleneck=4)
KINDS["288-prelu"] = replace(KINDS["288"], act="prelu")
KINDS["288-prelu-up"] = replace(KINDS["288"], act="prelu-up")
KINDS["sam8-192"] = replace(KINDS["sam8"], side=192)
KINDS["sam8-refined"] = replace(KINDS["sam8"], refine="run", norm=True)
KINDS["sam8-tanh"] = replace(KINDS["sam8"], refine="run", norm=True, tanh=True)
KINDS["sam8-leaky-audio"] = replace(KINDS["sam8"], audio_act="leaky")
KINDS["sam9-leaky-audio"] = replace(KINDS["sam9"], audio_act="leaky")
KINDS["sam9-plain"] = replace(KINDS["sam9"], attention=False)

# What the weights do not tell, for --config.
CONFIGS = {
    "sam8-192": '{"side": 192}',
    "sam8-refined": '{"audio_refine": true}',
    "sam8-tanh": '{"audio_refine": true, "last": "tanh"}',
    "sam8-leaky-audio": '{"leaky_audio": true}',
    "sam9-leaky-audio": '{"leaky_audio": true}',
    "sam9-plain": '{"attention": false}',
}


class Block(nn.Module):
    def __init__(self, conv, act, residual=False):
        super().__init__()
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))
        self.residual = residual
        self.act = {
            "relu": nn.ReLU, "prelu": nn.PReLU, "leaky": lambda: nn.LeakyReLU(0.2),
        }[act]()  # fmt: skip

    def forward(self, x, size=None):
        y = x
        for layer in self.conv_block:
            up = isinstance(layer, nn.ConvTranspose2d)
            y = layer(y, output_size=size) if up else layer(y)
        return self.act(y + x if self.residual else y)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.sa = nn.Module()
        self.sa.conv1 = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, x, skip):
        seen = torch.cat([skip.mean(1, keepdim=True), skip.amax(1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.sa.conv1(seen)) + x


class Generator(nn.Module):
    def __init__(self, kind: Kind, width: float = 1.0):
        super().__init__()
        self.kind = kind

        def w(channels):
            return max(1, round(channels * width))

        act = "relu" if kind.act == "prelu-up" else kind.act
        up_act = "prelu" if kind.act == "prelu-up" else kind.act

        def same(channels, more, act):
            if more < 0:
                return [Block(nn.Conv2d(channels, channels, 1), act) for _ in range(-more)]
            conv = [nn.Conv2d(channels, channels, 3, padding=1) for _ in range(more)]
            return [Block(layer, act, residual=True) for layer in conv]

        if kind.sam:
            self.sam = Attention()
        blocks, cin = [], 1
        for i, (out, stride, more) in enumerate(kind.audio):
            first = nn.Conv2d(cin, w(out), 3, stride or 1, padding=1 if stride else 0)
            here = kind.audio_act if i + 1 < len(kind.audio) else "relu"
            here = "prelu" if kind.act == "prelu" else here
            blocks += [Block(first, here), *same(w(out), more, here)]
            cin = w(out)
        self.audio_encoder = nn.Sequential(*blocks)
        if kind.refine != "none":
            self.audio_refine = nn.Sequential(
                *(Block(nn.Conv2d(cin, cin, 1), act) for _ in range(2))
            )
        voice = cin

        stages, cin, skips = [], 6, []
        for i, (out, more) in enumerate(kind.encoder):
            kernel = 7 if i == 0 else kind.second if i == 1 else 3
            stride = 1 if i == 0 or more < 0 else 2
            if more < 0:
                kernel = kind.bottleneck
            pad = 0 if more < 0 else kernel // 2
            first = Block(nn.Conv2d(cin, w(out), kernel, stride, pad), act)
            stages.append(nn.Sequential(first, *same(w(out), more, act)))
            cin = w(out)
            skips.append(cin)
        self.face_encoder_blocks = nn.ModuleList(stages)

        narrows = kind.encoder[-1][1] < 0
        stages, cin = [], voice
        for i, (out, more) in enumerate(kind.decoder):
            if i == 0:
                first = Block(nn.Conv2d(cin, w(out), 1), act)
            elif i == 1 and narrows:
                first = Block(nn.ConvTranspose2d(cin, w(out), kind.bottleneck), up_act)
            else:
                first = Block(nn.ConvTranspose2d(cin, w(out), 3, 2, 1), up_act)
            stages.append(nn.Sequential(first, *same(w(out), more, act)))
            cin = w(out) + skips.pop()
        self.face_decoder_blocks = nn.ModuleList(stages)

        head = []
        for out in kind.head:
            head.append(Block(nn.Conv2d(cin, w(out), 3, padding=1), act))
            cin = w(out)
        last = nn.Tanh() if kind.tanh else nn.Sigmoid()
        self.output_block = nn.Sequential(*head, nn.Conv2d(cin, 3, 1), last)

    def forward(self, audio, face):
        kind = self.kind
        skips, x = [], face
        for stage in self.face_encoder_blocks:
            x = stage(x)
            skips.append(x)
        x = self.audio_encoder(audio)
        if kind.refine == "run":
            x = self.audio_refine(x)
        if kind.norm:
            x = nn.functional.normalize(x, p=2, dim=1).clamp(-1, 1)
        for i, stage in enumerate(self.face_decoder_blocks):
            skip = skips.pop()
            for block in stage:
                up = isinstance(block.conv_block[0], nn.ConvTranspose2d)
                x = block(x, skip.shape[2:]) if up else block(x)
            if kind.attention:
                x = self.sam(x, skip)
            x = torch.cat([x, skip], dim=1)
        return self.output_block(x)


def random_inputs(kind: Kind, batch: int, seed: int):
    return wav2lip.random_inputs(batch, seed, kind.side)


def random_generator(name: str, width: float = 1.0, seed: int = 1) -> Generator:
    """Random weights under which both inputs matter and the output covers most of its range."""
    kind = KINDS[name]
    g = torch.Generator().manual_seed(seed)
    model = Generator(kind, width)
    he_init(model, g)
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.PReLU):
                layer.weight.uniform_(0.05, 0.5, generator=g)
        wav2lip.lift_voice(model.face_decoder_blocks)
        if kind.norm:  # a vector of length 1 is small beside what is made of it elsewhere
            model.face_decoder_blocks[0][0].conv_block[0].weight.mul_(8)
    audio, face = random_inputs(kind, 4, seed + 1)
    disturb_batch_norms(model, lambda: model(audio, face), g)
    with torch.no_grad():
        # The scale of what goes into the last function.
        body, last = model.output_block[-2], model.output_block[-1]
        model.output_block[-1] = nn.Identity()
        before = model(audio, face)
        model.output_block[-1] = last
        scale = (1.3 if not kind.tanh else 0.8) / before.std(dim=(0, 2, 3))
        body.weight.mul_(scale[:, None, None, None])
        body.bias.copy_((body.bias - before.mean(dim=(0, 2, 3))) * scale)
    return model.eval()

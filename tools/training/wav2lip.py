"""Trains the narrow Wav2Lip generator on the talking heads and the speech of wav2lip_data.py.

    nice python3 tools/training/wav2lip_data.py &    # the training starts when some of it exists
    nice python3 tools/training/wav2lip.py           # writes data/weights/wav2lip.safetensors

First the voice's encoder learns alone to tell the mouth from the sound, which costs little and
needs no pictures; a linear layer that is dropped afterwards reads the mouth from its output. Then
the rest learns as upstream's does, from the masked face, a reference and the sound; but most
references are of the same moment with another mouth, which only drawn heads can offer.
"""

import argparse
import os
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import common
import wav2lip_data as data
from reference.wav2lip import Wav2Lip

WIDTH, LEAST = 0.25, 8
LISTEN_STEPS, LISTEN_BATCH = 5000, 64
STEPS, BATCH = 5000, 32
LAST_FULL = 200  # steps at the end in full precision
FEWEST_PARTS = 6  # of heads, to start with
SAVE_SECONDS, CHECK_STEPS = 60, 500
WEIGHTS = os.path.join(common.WEIGHTS, "wav2lip.safetensors")
NOTE = "made for generated faces, not for real ones"


class Trained(nn.Module):
    """The network as shipped, and the layer that reads the mouth from the voice's embedding."""

    def __init__(self):
        super().__init__()
        self.network = Wav2Lip(WIDTH, LEAST)
        self.mouth = nn.Linear(self.network.face_decoder_blocks[0][0].conv_block[0].in_channels, 2)

    def read_mouth(self, voice):
        return self.mouth(self.network.audio_encoder(voice).flatten(1))


@torch.no_grad()
def easy_start(model):
    """Weights from which learning is quick: the picture goes straight through, and the mouth that
    was read from the voice reaches every pixel. Started at random the network copies for hours
    before it listens, for the skips bring far more signal than the one pixel of the voice.
    """
    network = model.network
    for stage in [*network.face_encoder_blocks, *network.face_decoder_blocks]:
        for block in stage:
            if getattr(block, "residual", False):
                block.conv_block[1].weight.fill_(0.2)

    def carry(block, channel, kernel, lift):
        """Channel `channel` of the block is this kernel (inputs, h, w), kept above zero."""
        conv, norm = block.conv_block
        weight = conv.weight if isinstance(conv, nn.Conv2d) else conv.weight.transpose(0, 1)
        weight[channel], conv.bias[channel] = kernel, 0
        norm.weight[channel], norm.bias[channel] = 1, lift

    def single(inputs, channel, tap):
        kernel = torch.zeros(inputs, *tap.shape)
        kernel[channel] = tap
        return kernel

    point = F.pad(torch.ones(1, 1), (1, 1, 1, 1))
    for channel in range(6):
        tap = F.pad(point, (2, 2, 2, 2))
        carry(network.face_encoder_blocks[0][0], channel, single(6, channel, tap), 2.5)
    decoder = network.face_decoder_blocks
    for channel, sign in enumerate((1, -1, 1, -1)):  # open, and less so; spread, and less so
        read = sign * model.mouth.weight[channel // 2][:, None, None]
        carry(decoder[0][0], channel, read, 1.5)
        for i in range(1, len(decoder)):
            tap = torch.tensor([0.5, 1.0, 0.5]) if i > 1 else torch.ones(3)
            inputs = decoder[i][0].conv_block[0].in_channels
            carry(decoder[i][0], channel, single(inputs, channel, torch.outer(tap, tap)), 1.5)
    output, last = network.output_block[0], network.output_block[1]
    inputs = output.conv_block[0].in_channels
    made = inputs - network.face_encoder_blocks[0][0].conv_block[0].out_channels
    for channel in range(6):  # the reference, then the masked face
        carry(output, channel, single(inputs, made + (channel + 3) % 6, point), 2.5)
    last.weight[:, :3, 0, 0] = 1.15 * torch.eye(3)  # about the logit of the picture
    last.weight[:, 3:6] = 0
    last.bias.fill_(-3.1)


def mouth_loss(read, mouths):
    return (read - mouths).abs().mul(torch.tensor([1.0, 0.4])).mean()


def weight_map():
    """Where the picture counts: a little above, more below, most about the mouth."""
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    mouth = torch.exp(-(((rows - 66) / 11) ** 2) - ((columns - 48) / 16) ** 2)
    return (torch.where(rows < 46, 0.4, 1.0) + 4 * mouth)[None, None]


def picture_loss(made, truth, twin, weights):
    """L1, heaviest where the mouths of the two takes differ: what only the voice can tell."""
    told = F.avg_pool2d((truth - twin).abs().mean(1, keepdim=True), 5, 1, 2)
    return ((made - truth).abs() * (weights + 60 * told)).mean()


def faces(masked_from, reference):
    """Network input (N,6,96,96) of pictures (N,3,96,96)."""
    masked = masked_from.clone()
    masked[:, :, 48:] = 0
    return torch.cat([masked, reference], 1).contiguous(memory_format=torch.channels_last)


def batch(rng, bank, crops, mouths):
    """Voice windows, true pictures, the same with another mouth, and references."""
    who, take, pose = (rng.integers(n, size=BATCH) for n in crops.shape[:3])
    truth, twin = crops[who, take, pose], crops[who, 1 - take, pose]
    # The other take of a pose is what the network gets in use; upstream has only other times.
    other = rng.random(BATCH) < 0.15
    reference = crops[who, np.where(other, rng.integers(2, size=BATCH), 1 - take),
                      np.where(other, rng.integers(crops.shape[2], size=BATCH), pose)]
    voice = bank.windows(rng, bank.like(rng, mouths[who, take, pose]))
    flip = rng.random(BATCH) < 0.5
    for pictures in (truth, twin, reference):
        pictures[flip] = pictures[flip, :, ::-1]
    tint = rng.uniform(0.75, 1.1, (BATCH, 1, 1, 1)) * rng.uniform(0.93, 1.07, (BATCH, 1, 1, 3))
    scale = torch.from_numpy((tint / 255).astype(np.float32))
    truth, twin, reference = (torch.from_numpy(p).mul(scale).clamp_(0, 1).permute(0, 3, 1, 2)
                              for p in (truth, twin, reference))
    return torch.from_numpy(voice), truth, twin, reference


def listen(model, bank, path):
    """Trains the voice's encoder alone; done once, kept beside the states."""
    if os.path.exists(path):
        model.load_state_dict(torch.load(path), strict=False)
        return
    rng = np.random.default_rng(21)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    progress = common.Progress("wav2lip_voice", LISTEN_STEPS, LISTEN_BATCH)
    for step in range(LISTEN_STEPS):
        common.set_rate(optimizer, common.cosine(step, LISTEN_STEPS, 2e-3, 2e-5, warmup=50))
        chosen = rng.integers(len(bank.starts), size=LISTEN_BATCH)
        voice = torch.from_numpy(bank.windows(rng, chosen))
        loss = mouth_loss(model.read_mouth(voice), torch.from_numpy(bank.tracks[chosen]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress.step(step + 1, loss.item())
    progress.write(f"held-out speech: open read from the voice, {hearing(model):.3f}")
    torch.save({key: value for key, value in model.state_dict().items()
                if key.startswith(("mouth.", "network.audio_encoder."))}, path)


def held_out_speech(count):
    """Mel windows and mouths of held-out sentences in held-out voices."""
    voices, mouths = [], []
    for i in range(count):
        _, sound = data.sentence([2, i], "held-out")
        mel, track = data.mel_spectrogram(sound.samples), data.speech.mouths(sound, data.FPS)
        begin = data.mel_windows(mel, len(track))
        voices.append(np.stack([mel[:, b:b + data.COLUMNS] for b in begin])[:, None])
        mouths.append(track[:len(begin)])
    return torch.from_numpy(np.concatenate(voices)), np.concatenate(mouths)


def hearing(model):
    voices, mouths = held_out_speech(60)
    model.eval()
    with torch.no_grad():
        read = torch.cat([model.read_mouth(v) for v in voices.split(128)]).numpy()
    model.train()
    return np.corrcoef(read[:, 0], mouths[:, 0])[0, 1]


class Check:
    """Held-out heads that say held-out speech: lower-half PSNR, while training. evaluate_wav2lip.py
    measures the shipped file."""

    def __init__(self, heads=8):
        voices, tracks = held_out_speech(30)
        pick = np.random.default_rng(5)
        crops, self.voices = [], []
        for i in range(heads):
            rows = pick.integers(len(tracks), size=(2, data.POSES))
            crops.append(data.draw_poses([2, 1000 + i], tracks[rows]))
            self.voices.append(voices[rows[0]])
        self.truth, self.reference = (
            torch.from_numpy(np.concatenate([c[take] for c in crops])).permute(0, 3, 1, 2) / 255
            for take in range(2))
        self.voices = torch.cat(self.voices)

    def psnr(self, network):
        network.eval()
        with torch.no_grad():
            made = torch.cat([network(v, faces(r, r)) for v, r in
                              zip(self.voices.split(48), self.reference.split(48))])
        network.train()
        below, at_mouth = np.s_[:, :, 48:], np.s_[:, :, 52:80, 26:70]
        values = []
        for part in (below, at_mouth):
            for a in (made, self.reference):
                values.append(-10 * torch.log10(((a[part] - self.truth[part]) ** 2).mean()).item())
        return "lower half {:.2f} dB (reference {:.2f}), mouth {:.2f} ({:.2f})".format(*values)


def train(model, bank, steps):
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    path = os.path.join(data.FOLDER, "state.pt")
    state = common.load_state(path, model, optimizer)
    start = state["step"] if state else 0
    rng = np.random.default_rng([22, start])
    weights, check = weight_map(), Check()
    progress = common.Progress("wav2lip", steps, BATCH, start)
    crops, mouths, parts, saved = [], [], 0, time.time()
    for step in range(start, steps):
        if step % 100 == 0 or not len(crops):
            new_crops, new_mouths, parts = data.load_heads(parts)
            if new_crops:
                crops = np.concatenate([*([crops] if len(crops) else []), *new_crops])
                mouths = np.concatenate([*([mouths] if len(mouths) else []), *new_mouths])
        common.set_rate(optimizer, common.cosine(step, steps, 1.5e-3, 1e-5, warmup=100))
        voice, truth, twin, reference = batch(rng, bank, crops, mouths)
        model.network.audio_encoder.eval()
        with torch.no_grad():  # it has learned already
            embedding = model.network.audio_encoder(voice)
        with torch.autocast("cpu", torch.bfloat16, enabled=step < steps - LAST_FULL):
            made = model.network.speak(embedding, faces(truth, reference)).float()
        loss = picture_loss(made, truth, twin, weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        progress.step(step + 1, loss.item())
        if (step + 1) % CHECK_STEPS == 0 or step + 1 == steps:
            progress.write(f"held-out: {check.psnr(model.network)}; {len(crops)} heads so far")
            export(model)
        if time.time() - saved > SAVE_SECONDS:
            common.save_state(path, step + 1, model, optimizer)
            saved = time.time()


def export(model):
    common.save_half(WEIGHTS, model.network.state_dict(), "wav2lip", "wav2lip.py", NOTE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    steps = parser.parse_args().steps
    common.one_thread()
    common.seed_all(20)
    bank = data.Bank()
    model = Trained().to(memory_format=torch.channels_last)
    listen(model, bank, os.path.join(data.FOLDER, "voice.pt"))
    easy_start(model)
    while not os.path.exists(data.part_path(FEWEST_PARTS - 1)):
        time.sleep(10)
    train(model, bank, steps)


if __name__ == "__main__":
    main()

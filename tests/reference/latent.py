"""The latent reference's inference, step by step, with the mean in place of samples."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from . import audio, pipeline, unet, vae, wav2vec2, whisper
from .pipeline import Options, Result

SIDE = 64
SCALE = 0.18215
ROWS = 10
VAE = {"channels": (8, 16, 16, 16), "groups": 4, "layers": 1}
UNET = {"channels": (16, 32, 64), "heads": 4, "groups": 8, "layers": 1}


@dataclass
class Networks:
    vae: torch.nn.Module
    unet: torch.nn.Module
    voice: torch.nn.Module
    hears: str  # "wav2vec2" or "whisper"

    @property
    def stacked(self):
        return self.unet.config.in_channels == 4


# ---- networks whose outputs are no constants and stay in range -----------------------------------


def scale_rows(layer, rows, factor):
    with torch.no_grad():
        layer.weight[rows] *= factor
        layer.bias[rows] *= factor


def random_networks(hears="wav2vec2", stacked=False, seed=1) -> Networks:
    """Scaled so that latents, what the UNet makes and pictures spread as with trained weights."""
    autoencoder = vae.random_vae(**VAE, seed=seed)
    voice = wav2vec2.random_encoder() if hears == "wav2vec2" else whisper.random_encoder()
    width = voice.config.hidden_size
    net = unet.random_unet(**UNET, context=width, inputs=4 if stacked else 8, seed=seed)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if "attn2.to_out.0.weight" in name:  # else the voice would hardly be heard
                value *= 6
        face = 0.7 * torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
        face = torch.nn.functional.avg_pool2d(face, 5, 1, 2) * 3
        factor = (1 if stacked else 1 / SCALE) / autoencoder.encode(face).latent_dist.mean.std()
        scale_rows(autoencoder.quant_conv, slice(0, 4), factor)
        both = [autoencoder.encode(face).latent_dist.mean] * 2
        latent = torch.cat(both, 2 if stacked else 1) * (1 if stacked else SCALE)
        words = torch.randn(2, ROWS, width)
        made = net(latent, torch.tensor(0.0), words).sample
        scale_rows(net.conv_out, slice(None), 1 / made.std())
        made = net(latent, torch.tensor(0.0), words).sample / (1 if stacked else SCALE)
        picture = autoencoder.decode(made[:, :, : SIDE // 8]).sample
        scale_rows(autoencoder.decoder.conv_out, slice(None), 0.35 / picture.std())
    return Networks(autoencoder, net, voice, hears)


# ---- what is heard -------------------------------------------------------------------------------


def wav2vec2_chunks(network, wave, fps):
    wave = ((wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)).astype(np.float32)
    with torch.no_grad():
        rows = network(torch.from_numpy(wave)[None])[0].numpy()
    assert not np.isnan(rows).any()
    chunks = []
    while True:
        start = int(len(chunks) * (50.0 / fps))
        if start + ROWS > len(rows):
            return [*chunks, rows[len(rows) - ROWS :]]
        chunks.append(rows[start : start + ROWS])


def whisper_rows(network, wave):
    """(rows, layers, width) of the whole clip, in windows that do not hear each other."""
    config, window = network.config, 2 * network.config.max_source_positions
    extractor = WhisperFeatureExtractor(feature_size=config.num_mel_bins)
    mel = extractor._np_extract_fbank_features(wave[None], "cpu")[0]
    parts = []
    for start in range(0, mel.shape[1], window):
        end = min(start + window, mel.shape[1])
        piece = np.zeros((1, mel.shape[0], window), np.float32)
        piece[0, :, : end - start] = mel[:, start:end]
        with torch.no_grad():
            features = network(torch.from_numpy(piece))[0][0].numpy()
        parts.append(features[: (end - start) // 2])
    return np.concatenate(parts)


def whisper_chunks(network, wave, fps):
    rows, chunks = whisper_rows(network, wave), []
    while True:
        centre = int(len(chunks) * 50.0 / fps)
        index = np.clip(np.arange(centre - 4, centre + 6), 0, len(rows) - 1)
        chunks.append(rows[index].reshape(-1, rows.shape[-1]))
        if centre > len(rows):
            return chunks


def chunks_of(networks, path, fps):
    cut = wav2vec2_chunks if networks.hears == "wav2vec2" else whisper_chunks
    return cut(networks.voice, audio.load(path), fps)


# ---- pictures ------------------------------------------------------------------------------------


def make_faces(networks, faces, chunks):
    """Faces (N,S,S,3) BGR uint8 and their chunks to faces as float 0..1, before rounding."""
    scale = 1.0 if networks.stacked else SCALE
    image = torch.FloatTensor(np.asarray(faces).transpose(0, 3, 1, 2) / 255.0) * 2 - 1
    upper = image.clone()
    upper[:, :, SIDE // 2 :] = 0
    with torch.no_grad():
        halves = [networks.vae.encode(x).latent_dist.mode() for x in (upper, image)]
        latent = torch.cat(halves, 2 if networks.stacked else 1) * scale
        words = torch.from_numpy(np.asarray(chunks, np.float32))
        made = networks.unet(latent, torch.tensor(0), words).sample
        if networks.stacked:
            made = made[:, :, : SIDE // 8]
        picture = networks.vae.decode(made / scale).sample
    return ((picture + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1).numpy()


def run(networks, frames, audio_path, options: Options, video_fps=None, detector=None) -> Result:
    """As pipeline.run: upstream's frames."""
    still = video_fps is None
    fps = options.fps if still else video_fps
    static = options.static or still
    if not still:
        frames = pipeline.prepare_frames(frames, options)
    chunks = chunks_of(networks, audio_path, fps)
    frames = frames[: len(chunks)]
    if not networks.stacked:
        frames = frames + frames[::-1]
    if options.box[0] == -1:
        boxes = pipeline.detect_boxes(detector, frames[:1] if static else frames, options)
    else:
        boxes = [tuple(options.box)] * len(frames)
    result = Result([], [])
    for i, chunk in enumerate(chunks):
        index = 0 if static else i % len(frames)
        y1, y2, x1, x2 = boxes[index]
        face = cv2.resize(frames[index][y1:y2, x1:x2], (SIDE, SIDE))
        made = (make_faces(networks, [face], [chunk])[0] * 255).astype(np.uint8)
        canvas = frames[index].copy()
        canvas[y1:y2, x1:x2] = cv2.resize(made, (x2 - x1, y2 - y1))
        result.canvases.append(frames[index])
        result.frames.append(canvas)
        result.boxes.append(boxes[index])
    return result


class Saved:
    """Networks, and the files in which people have them."""

    def __init__(self, networks, folder):
        self.networks, self.folder = networks, folder
        networks.vae.save_pretrained(folder / "vae")
        networks.unet.save_pretrained(folder / "unet")
        networks.voice.model.save_pretrained(folder / "voice")
        state = {f"unet.{k}": v for k, v in networks.unet.state_dict().items()}
        torch.save(
            vae.lightning_checkpoint(networks.unet.state_dict(), "unet.", "syncnet.fc.bias"),
            folder / "wav2lip-unet.ckpt",
        )
        torch.save(state, folder / "merged.bin")

    def arguments(self, checkpoint="wav2lip-unet.ckpt"):
        more = [] if checkpoint == "unet" else ["--unet_config", self.folder / "unet"]
        return [
            *["--checkpoint_path", self.folder / checkpoint, "--img_size", SIDE, *more],
            *["--vae_path", self.folder / "vae"],
            *[f"--{self.networks.hears}", self.folder / "voice"],
        ]

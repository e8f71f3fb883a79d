"""The networks that are compared: full width, random weights, the same in every format."""

import contextlib
import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from reference import checkpoints, ffdnet, lstm, mobilenetv2, wav2lip

PNNX = Path(sys.executable).with_name("pnnx")  # also where the environment is not activated


class Only(torch.nn.Module):
    """The tensor that counts, of networks that answer with more."""

    def __init__(self, model, run):
        super().__init__()
        self.model, self.run = model, run

    def forward(self, *inputs):
        return self.run(self.model, *inputs)


def latent_model(name):
    """UNet of 80 M parameters, Stable Diffusion's decoder, Wav2Vec2 base; by their makers."""
    if name == "unet":
        from reference.unet import random_unet

        model = random_unet((160, 320, 640), 4, layers=1, context=768)
        return Only(model, lambda m, x, t, c: m(x, t, c).sample)
    if name == "vae-decoder":
        from diffusers import AutoencoderKL

        model = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
        )
        return Only(model, lambda m, z: m.decode(z).sample)
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    model = Wav2Vec2Model(Wav2Vec2Config(apply_spec_augment=False))
    return Only(model, lambda m, x: m(x).last_hidden_state)


def latent_inputs(name, batch):
    shapes = {
        "unet": {"sample": (8, 96, 96), "encoder_hidden_states": (10, 768)},
        "vae-decoder": {"latent_sample": (4, 64, 64)},
        "wav2vec2": {"input_values": (160000,)},
    }[name]
    inputs = {key: torch.randn(batch, *shape) for key, shape in shapes.items()}
    if name == "unet":
        sample, context = inputs.values()
        inputs = {"sample": sample, "timestep": torch.zeros(1), "encoder_hidden_states": context}
    return inputs


LATENT = ("unet", "vae-decoder", "wav2vec2")


def model_of(name):
    """The network in PyTorch; the same weights every time."""
    torch.manual_seed(1)
    if name in LATENT:
        return latent_model(name).eval()
    if name == "wav2lip":
        return wav2lip.random_wav2lip(1.0, seed=1).eval()
    if name == "ffdnet":
        return ffdnet.random_ffdnet("ipol", channels=3, width=96, depth=12).eval()
    if name == "mobilenetv2":
        return mobilenetv2.random_mobilenetv2(1.0, 1000).eval()
    return lstm.random_classifier().eval()


def answer_of(model, tensors):
    """The first output; the LSTM gives its state too."""
    with torch.inference_mode():
        out = model(*tensors)
    return (out[0] if isinstance(out, tuple) else out).numpy()


def inputs_of(name, batch):
    """In the order of the network's arguments, by the names of run-model's inputs."""
    if name in LATENT:
        return latent_inputs(name, batch)
    if name == "wav2lip":
        audio, face = wav2lip.random_inputs(batch, 1)
        return {"audio": audio, "face": face}
    if name == "ffdnet":
        image, sigma = ffdnet.random_inputs(batch, 3, 512, 512, 1)
        return {"image": image, "sigma": sigma}
    if name == "mobilenetv2":
        return {"image": mobilenetv2.random_image(batch, 224, 224, 1)}
    return {"seq_input": lstm.random_inputs(batch, 6, 1, 1)}


# Batches that are compared unless others are asked for.
BATCHES = {
    "wav2lip": [1, 16],
    "ffdnet": [1],
    "mobilenetv2": [1, 8],
    "lstm": [1, 64],
    "unet": [1],
    "vae-decoder": [1],
    "wav2vec2": [1],
}


def export(name, model, inputs, path):
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=["out"],
            dynamic_axes={key: {0: "n"} for key in [*inputs, "out"] if key != "timestep"},
            opset_version=17,
            dynamo=False,
        )


def convert_for_ncnn(model, inputs, folder, name):
    """The stem of the converted files, or None where the converter is missing or fails."""
    traced = Path(folder) / f"{name}.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(model, tuple(inputs.values())).save(str(traced))
    shapes = ",".join("[" + ",".join(map(str, x.shape)) + "]" for x in inputs.values())
    try:
        subprocess.run(
            [str(PNNX), traced.name, f"inputshape={shapes}", "fp16=0"],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=600,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return str(traced.with_suffix(".ncnn"))


def prepare(name, batch, folder):
    """Files of one network and batch: inputs, PyTorch's answer, weights, ONNX, ncnn."""
    folder = Path(folder)
    model, inputs = model_of(name), inputs_of(name, batch)
    stem = folder / f"{name}-{batch}"
    files = {
        "inputs": f"{stem}.npz",
        "wanted": f"{stem}.npy",
        "weights": str(folder / f"{name}.pth"),
        "onnx": str(folder / f"{name}.onnx"),
        "ncnn": None,
    }
    np.savez(files["inputs"], **{key: x.numpy() for key, x in inputs.items()})
    np.save(files["wanted"], answer_of(model, inputs.values()))
    if name in LATENT:
        files["weights"] = str(folder / name)
        model.model.save_pretrained(files["weights"])
    if not Path(files["onnx"]).exists():
        if name not in LATENT:
            checkpoints.save_zip(checkpoints.state_of(model), files["weights"])
        export(name, model, inputs_of(name, 2), files["onnx"])
    if batch == 1 and name not in LATENT:
        files["ncnn"] = convert_for_ncnn(model, inputs, folder, name)
    shapes = [f"{key}={'x'.join(map(str, x.shape))}" for key, x in inputs.items()]
    return files, shapes

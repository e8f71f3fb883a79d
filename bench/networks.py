"""The networks that are compared: full width, random weights, the same in every format."""

import contextlib
import io
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from reference import checkpoints, ffdnet, lstm, mobilenetv2, wav2lip, wav2lip_kinds

PNNX = Path(sys.executable).with_name("pnnx")  # also where the environment is not activated


class Only(torch.nn.Module):
    """The tensor that counts, of networks that answer with more."""

    def __init__(self, model, run):
        super().__init__()
        self.model, self.run = model, run

    def forward(self, *inputs):
        return self.run(self.model, *inputs)


def unet():
    """Of 80 M parameters."""
    from reference.unet import random_unet

    model = random_unet((160, 320, 640), 4, layers=1, context=768)
    return Only(model, lambda m, x, t, c: m(x, t, c).sample)


def vae_decoder():
    """Stable Diffusion's."""
    from diffusers import AutoencoderKL

    model = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
    )
    return Only(model, lambda m, z: m.decode(z).sample)


def wav2vec2():
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    model = Wav2Vec2Model(Wav2Vec2Config(apply_spec_augment=False))
    return Only(model, lambda m, x: m(x).last_hidden_state)


# By network: the model, its inputs for a batch, their names in run-model, in the order of the
# arguments, and the batches that are compared unless others are asked for.
NETWORKS = {
    "wav2lip": (lambda: wav2lip.random_wav2lip(1.0, seed=1),
                lambda n: wav2lip.random_inputs(n, 1), ("audio", "face"), [1, 16]),
    "ffdnet": (lambda: ffdnet.random_ffdnet("ipol", channels=3, width=96, depth=12),
               lambda n: ffdnet.random_inputs(n, 3, 512, 512, 1), ("image", "sigma"), [1]),
    "mobilenetv2": (lambda: mobilenetv2.random_mobilenetv2(1.0, 1000),
                    lambda n: [mobilenetv2.random_image(n, 224, 224, 1)], ("image",), [1, 8]),
    "lstm": (lstm.random_classifier, lambda n: [lstm.random_inputs(n, 6, 1, 1)], ("seq_input",),
             [1, 64]),
    "unet": (unet, lambda n: (torch.randn(n, 8, 96, 96), torch.zeros(1), torch.randn(n, 10, 768)),
             ("sample", "timestep", "encoder_hidden_states"), [1]),
    "vae-decoder": (vae_decoder, lambda n: [torch.randn(n, 4, 64, 64)], ("latent_sample",), [1]),
    "wav2vec2": (wav2vec2, lambda n: [torch.randn(n, 160000)], ("input_values",), [1]),
}  # fmt: skip
LATENT = ("unet", "vae-decoder", "wav2vec2")  # saved as their makers do
USUAL = list(NETWORKS)  # unless others are asked for


def wav2lip_kind(name):
    """A Wav2Lip generator for larger faces, or of another make."""
    kind = wav2lip_kinds.KINDS[name]
    return (lambda: wav2lip_kinds.random_generator(name),
            lambda n: wav2lip_kinds.random_inputs(kind, n, 1), ("audio", "face"), [1])  # fmt: skip


NETWORKS |= {f"wav2lip-{name}": wav2lip_kind(name)
             for name in wav2lip_kinds.KINDS if name not in wav2lip_kinds.CONFIGS}  # fmt: skip
BATCHES = {name: batches for name, (*_, batches) in NETWORKS.items()}


def builtin_of(name):
    """What run-model calls it: the kinds of Wav2Lip are told by their weights."""
    return "wav2lip" if name.startswith("wav2lip-") else name


def model_of(name):
    """The network in PyTorch; the same weights every time."""
    torch.manual_seed(1)
    return NETWORKS[name][0]().eval()


def inputs_of(name, batch):
    return dict(zip(NETWORKS[name][2], NETWORKS[name][1](batch)))


def answer_of(model, tensors):
    """The first output; the LSTM gives its state too."""
    with torch.inference_mode():
        out = model(*tensors)
    return (out[0] if isinstance(out, tuple) else out).numpy()


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

"""torch.onnx.export of the networks, by both of its exporters, quietly."""

import contextlib
import io
import logging
import warnings

import torch
from torch import nn

from . import ffdnet, lstm, mobilenetv2, s3fd, syncnet, wav2lip


class Example:
    """A network with inputs to export it with, and other ones to run the file on."""

    def __init__(self, model, inputs, others, input_names, output_names):
        self.model = model.eval()
        self.inputs, self.others = tuple(inputs), tuple(others)
        self.input_names, self.output_names = list(input_names), list(output_names)


class PixelAssignment(nn.Module):
    """FFDNet written as its authors first did: pixels moved by assigning slices."""

    def __init__(self, depth=4, width=8):
        super().__init__()
        layers = []
        for i in range(depth):
            cin, cout = (15 if i == 0 else width), (12 if i == depth - 1 else width)
            layers += [nn.Conv2d(cin, cout, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, image, sigma):
        n, c, h, w = image.shape
        small = torch.zeros(n, 4 * c, h // 2, w // 2)
        for k, (dy, dx) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
            small[:, k::4] = image[:, :, dy::2, dx::2]
        level = sigma.view(-1, 1, 1, 1).expand(n, 3, h // 2, w // 2)
        noise = self.layers(torch.cat([level, small], 1))
        large = torch.zeros(n, c, h, w)
        for k, (dy, dx) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
            large[:, :, dy::2, dx::2] = noise[:, k::4]
        return image - large


def example(name):
    torch.manual_seed(1)
    if name == "wav2lip":
        model = wav2lip.random_wav2lip(1 / 16, seed=1)
        inputs = wav2lip.random_inputs(2, 1), wav2lip.random_inputs(3, 2)
        return Example(model, *inputs, ["audio", "face"], ["frames"])
    if name == "syncnet":
        inputs = syncnet.random_inputs(2, 1), syncnet.random_inputs(3, 2)
        model = syncnet.random_syncnet(1 / 16, seed=1)
        return Example(model, *inputs, ["audio", "face"], ["audio_embedding", "face_embedding"])
    if name == "s3fd":
        inputs = (s3fd.random_image(2, 64, 96, 1),), (s3fd.random_image(3, 64, 96, 2),)
        return Example(s3fd.random_s3fd(1 / 16), *inputs, ["image"], s3fd.OUTPUT_NAMES)
    if name.startswith("ffdnet"):
        kind = name.split("-")[1]
        model = PixelAssignment() if kind == "assign" else ffdnet.random_ffdnet(kind)
        inputs = [ffdnet.random_inputs(n, 3, 32, 48, n) for n in (2, 3)]
        return Example(model, *inputs, ["image", "sigma"], ["denoised"])
    if name == "mobilenetv2":
        model = mobilenetv2.random_mobilenetv2(0.35, 17)
        inputs = [(mobilenetv2.random_image(n, 96, 96, n),) for n in (2, 3)]
        return Example(model, *inputs, ["image"], ["classLabelProbs"])
    if name == "lstm":
        model = lstm.random_classifier(layers=2, both=True, hidden=37, inputs=4)
        inputs = [(lstm.random_inputs(n, 6, 4, n),) for n in (2, 5)]
        return Example(model, *inputs, ["seq_input"], ["my_output"])
    return latent_example(name)


class Whole(nn.Module):
    """One tensor out of what diffusers and transformers give."""

    def __init__(self, model, run):
        super().__init__()
        self.model, self.run = model, run

    def forward(self, *inputs):
        return self.run(self.model, *inputs)


def latent_example(name):
    if name == "wav2vec2":
        return wav2vec2_example()
    if name == "unet":
        return unet_example()
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        block_out_channels=(32, 64),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
    )
    if name == "vae-encoder":
        model = Whole(vae, lambda m, x: m.encode(x).latent_dist.parameters)
        shapes, names = ((2, 3, 32, 48), (3, 3, 32, 48)), (["sample"], ["latent_parameters"])
    else:
        model = Whole(vae, lambda m, z: m.decode(z).sample)
        shapes, names = ((2, 4, 16, 24), (3, 4, 16, 24)), (["latent_sample"], ["sample"])
    return Example(model, *[(torch.randn(s),) for s in shapes], *names)


def unet_example():
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        in_channels=8,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        cross_attention_dim=48,
        attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )
    model = Whole(unet, lambda m, x, c: m(x, torch.tensor(0), c).sample)
    inputs = [(torch.randn(n, 8, 16, 16), torch.randn(n, 10, 48)) for n in (2, 3)]
    return Example(model, *inputs, ["sample", "encoder_hidden_states"], ["out_sample"])


def wav2vec2_example():
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        conv_dim=(32, 32, 32),
        conv_stride=(5, 2, 2),
        conv_kernel=(10, 3, 3),
        num_feat_extract_layers=3,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    model = Whole(Wav2Vec2Model(config), lambda m, x: m(x).last_hidden_state)
    inputs = [(torch.randn(n, 4000),) for n in (2, 3)]
    return Example(model, *inputs, ["input_values"], ["last_hidden_state"])


def export(made, path, opset, dynamo, sides=()):
    """Writes the file with a dynamic first axis, and those of `sides` of inputs of four dimensions
    (old exporter); what the exporter says is swallowed."""
    names = {"input_names": made.input_names, "output_names": made.output_names}
    if dynamo:
        axes = tuple({0: torch.export.Dim.AUTO} for _ in made.inputs)
        if isinstance(made.model, Whole):
            axes = (axes,)
        names.update(dynamic_shapes=axes, external_data=False)
    else:
        every = made.input_names + made.output_names
        axes = {name: {0: "n"} for name in every}
        for name, tensor in zip(made.input_names, made.inputs):
            if tensor.dim() == 4 and tensor.shape[2] > 1:
                axes[name].update((side, f"{name}{side}") for side in sides)
        names.update(dynamic_axes=axes)
    silence = io.StringIO()
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(silence):
            with contextlib.redirect_stderr(silence), torch.inference_mode(not dynamo):
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    made.model, made.inputs, str(path), opset_version=opset, dynamo=dynamo, **names
                )
    finally:
        logging.disable(level)
    return path

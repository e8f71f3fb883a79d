"""The runs whose bits are recorded: every built-in network, and graphs that only the run can size.

A case makes its weights and inputs from integers alone (reference/seeded.py), so that it is the
same on every machine. Sizes are chosen so that each algorithm is taken: odd and even, one and
three items, widths that no vector length divides and the published ones.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from engine import bits_graphs
from reference import seeded

UNET = {
    "in_channels": 8,
    "block_out_channels": [32, 64],
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "cross_attention_dim": 24,
    "attention_head_dim": 4,
}
UNET_ODD = {**UNET, "block_out_channels": [6, 18], "norm_num_groups": 3, "cross_attention_dim": 7,
            "attention_head_dim": 3}  # fmt: skip
UNET_WIDE = {**UNET, "block_out_channels": [160, 320], "norm_num_groups": 32,
             "cross_attention_dim": 768, "attention_head_dim": 8}  # fmt: skip
VAE = {"block_out_channels": [16, 32, 64], "layers_per_block": 1, "norm_num_groups": 8}
VAE_ODD = {"block_out_channels": [6, 15], "layers_per_block": 2, "norm_num_groups": 3}
VAE_WIDE = {"block_out_channels": [64, 128], "layers_per_block": 1, "norm_num_groups": 32}
WAV2VEC2 = {
    "conv_dim": [24] * 7,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "intermediate_size": 72,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
WAV2VEC2_WIDE = {**WAV2VEC2, "conv_dim": [128] * 7, "hidden_size": 192, "intermediate_size": 768,
                 "num_conv_pos_embeddings": 128}  # fmt: skip
WHISPER = {"encoder_layers": 1, "encoder_attention_heads": 6}


@dataclass
class Case:
    name: str
    network: str
    inputs: dict  # name -> array
    outputs: list
    weights: tuple = ()  # "full" | "narrow", sixteenths | "config", settings | "author", channels
    options: list = field(default_factory=list)
    graph: object = None  # an ONNX model in the place of a network


def author_ffdnet(channels, path):
    """The author's FFDNet of 15 layers of 64 (gray), or 12 of 96, at its published size."""
    width, depth = (64, 15) if channels == 1 else (96, 12)
    tensors, reads = {}, 4 * channels + 1
    for i in range(depth):
        gives = 4 * channels if i == depth - 1 else width
        bound = math.sqrt(3.0 / (9 * reads))
        weight = seeded.uniform((gives, reads, 3, 3), 400 + i, -bound, bound)
        tensors[f"model.{2 * i}.weight"] = weight
        tensors[f"model.{2 * i}.bias"] = seeded.uniform((gives,), 500 + i, -0.1, 0.1)
        reads = gives
    seeded.save(tensors, path)


def noise(*shape, seed=1, low=-1.0, high=1.0):
    return seeded.uniform(shape, seed, low, high)


def wav2lip_cases():
    for what, weights in (("full", ("full",)), ("odd", ("narrow", 3))):
        for batch in (1, 3):
            inputs = {"audio": 4 * noise(batch, 1, 80, 16), "face": noise(batch, 6, 96, 96, low=0)}
            yield Case(f"wav2lip-{what}-{batch}", "wav2lip", inputs, ["frames"], weights)


def syncnet_cases():
    names = ["audio_embedding", "face_embedding"]
    for what, weights in (("full", ("full",)), ("odd", ("narrow", 3))):
        for batch in (1, 3):
            inputs = {"audio": 4 * noise(batch, 1, 80, 16), "face": noise(batch, 15, 48, 96, low=0)}
            yield Case(f"syncnet-{what}-{batch}", "syncnet", inputs, names, weights)
    inputs = {"audio": noise(2, 1, 10, 144), "latents": noise(2, 4, 96, 96)}
    yield Case("syncnet-latent", "syncnet-latent", inputs, names, ("narrow", 3))


def s3fd_cases():
    names = [f"{kind}{i}" for i in range(1, 7) for kind in ("cls", "reg")]
    for what, weights, shapes in (
        ("full", ("full",), [(1, 3, 97, 65)]),
        ("odd", ("narrow", 5), [(1, 3, 128, 160), (3, 3, 75, 101)]),
    ):
        for shape in shapes:
            name = f"s3fd-{what}-{'x'.join(map(str, shape))}"
            inputs = {"image": 100 * noise(*shape)}
            yield Case(name, "s3fd", inputs, names, weights)
    image = {"image": 100 * noise(1, 3, 320, 256)}
    yield Case("s3fd-bands", "s3fd", image, names, ("narrow", 5), ["--mem_limit", "15"])


def ffdnet_cases():
    def image(*shape):
        return noise(*shape, low=0)

    for what, weights, channels in (
        ("ipol", ("full",), 3),
        ("ipol-odd", ("narrow", 3), 3),
        ("gray", ("author", 1), 1),
        ("colour", ("author", 3), 3),
    ):
        for batch, height, width in ((1, 64, 96), (3, 37, 51)):
            levels = noise(batch, seed=2, low=0, high=0.3)
            inputs = {"image": image(batch, channels, height, width), "sigma": levels}
            yield Case(f"ffdnet-{what}-{batch}x{height}x{width}", "ffdnet", inputs, ["denoised"],
                       weights)  # fmt: skip
    for batch, height, width in ((1, 64, 96), (3, 37, 51)):
        levels = noise(batch, 1, -(-height // 2), -(-width // 2), seed=3, low=0, high=0.3)
        inputs = {"image": image(batch, 3, height, width), "sigma": levels}
        yield Case(f"ffdnet-map-{batch}x{height}x{width}", "ffdnet-map", inputs, ["denoised"],
                   ("full",))  # fmt: skip
    inputs = {"image": image(1, 3, 256, 250), "sigma": noise(1, seed=2, low=0, high=0.3)}
    yield Case("ffdnet-bands", "ffdnet", inputs, ["denoised"], ("narrow", 3), ["--mem_limit", "5"])


def classifier_cases():
    for what, weights, shapes in (
        ("full", ("full",), [(1, 3, 224, 224), (3, 3, 97, 65)]),
        ("odd", ("narrow", 5), [(1, 3, 130, 111), (3, 3, 224, 224)]),
    ):
        for shape in shapes:
            yield Case(f"mobilenetv2-{what}-{'x'.join(map(str, shape))}", "mobilenetv2",
                       {"image": 2 * noise(*shape)}, ["classLabelProbs"], weights)  # fmt: skip
    for batch, steps in ((1, 6), (3, 17)):
        series = noise(batch, steps, 1)
        yield Case(f"lstm-{batch}x{steps}", "lstm", {"seq_input": series}, ["my_output"], ("full",))
        state = {"h0": noise(batch, 1, 50, seed=2), "c0": noise(batch, 1, 50, seed=3)}
        yield Case(f"lstm-stream-{batch}x{steps}", "lstm-stream", {**state, "seq_input": series},
                   ["my_output", "hn", "cn"], ("full",))  # fmt: skip


def latent_cases():
    for what, config, sizes in (
        ("even", UNET, [(1, 16, 24, 10), (3, 13, 9, 77)]),
        ("odd", UNET_ODD, [(1, 16, 16, 10), (3, 11, 18, 1)]),
        ("wide", UNET_WIDE, [(1, 16, 16, 10)]),
    ):
        for batch, height, width, tokens in sizes:
            context = config["cross_attention_dim"]
            rest = {
                "sample": noise(batch, 8, height, width),
                "encoder_hidden_states": noise(batch, tokens, context, seed=2),
            }
            size = f"{what}-{batch}x{height}x{width}"
            steps = np.array([3.0, 500.0, 999.0][:batch], dtype=np.float32)
            yield Case(f"unet-{size}", "unet", {**rest, "timestep": steps}, ["out_sample"],
                       ("config", config))  # fmt: skip
            if what != "wide":
                yield Case(f"unet-step0-{size}", "unet-step0", rest, ["out_sample"],
                           ("config", config))  # fmt: skip
    for what, config, sizes in (
        ("even", VAE, [(1, 16, 24), (3, 12, 20)]),
        ("odd", VAE_ODD, [(1, 17, 9), (3, 8, 10)]),
        ("wide", VAE_WIDE, [(1, 16, 16)]),
    ):
        down = 2 ** (len(config["block_out_channels"]) - 1)
        for batch, h, w in sizes:
            size = f"{what}-{batch}x{h}x{w}"
            yield Case(f"vae-encoder-{size}", "vae-encoder",
                       {"sample": noise(batch, 3, h * down, w * down)}, ["latent_parameters"],
                       ("config", config))  # fmt: skip
            yield Case(f"vae-decoder-{size}", "vae-decoder",
                       {"latent_sample": noise(batch, 4, h, w)}, ["sample"],
                       ("config", config))  # fmt: skip
    yield Case("vae-decoder-bands", "vae-decoder", {"latent_sample": noise(1, 4, 72, 36)},
               ["sample"], ("config", VAE), ["--mem_limit", "9"])  # fmt: skip


def speech_cases():
    state = ["last_hidden_state"]
    for what, config, sizes in (
        ("even", WAV2VEC2, [(1, 5000), (3, 3333)]),
        ("stable", {**WAV2VEC2, "feat_extract_norm": "layer", "conv_bias": True,
                    "do_stable_layer_norm": True}, [(1, 4001)]),
        ("wide", WAV2VEC2_WIDE, [(1, 16000)]),
    ):  # fmt: skip
        for batch, samples in sizes:
            wave = {"input_values": noise(batch, samples)}
            yield Case(f"wav2vec2-{what}-{batch}x{samples}", "wav2vec2", wave, state,
                       ("config", config))  # fmt: skip
    for batch, samples, frames in ((1, 5000, 15), (3, 3333, 50)):
        wave, width = {"input_values": noise(batch, samples)}, WAV2VEC2["conv_dim"][0]
        norm = {"norm": noise(batch, 2, width, seed=2, low=0.5, high=1.5)}
        parts = [("norm", wave, ["norm"]), ("features", {**wave, **norm}, ["features"]),
                 ("encoder", {"features": noise(batch, frames, width, seed=3)}, state)]  # fmt: skip
        for part, inputs, outputs in parts:
            yield Case(f"wav2vec2-{part}-{batch}", f"wav2vec2-{part}", inputs, outputs,
                       ("config-of", "wav2vec2", WAV2VEC2))  # fmt: skip
    yield Case("whisper-encoder-1", "whisper-encoder", {"input_features": noise(1, 80, 3000)},
               ["features", *state], ("config", WHISPER))  # fmt: skip


def graph_cases():
    for name, graph, inputs in bits_graphs.all_graphs():
        outputs = [output.name for output in graph.graph.output]
        yield Case(f"graph-{name}", "", inputs, outputs, graph=graph)


def all_cases():
    return [*wav2lip_cases(), *syncnet_cases(), *s3fd_cases(), *ffdnet_cases(), *classifier_cases(),
            *latent_cases(), *speech_cases(), *graph_cases()]  # fmt: skip

"""Trains the LSTM classifier: six numbers of 0 to 10 in, the class int(sum / 20) of their sum out.

python3 tools/training/lstm.py      # writes data/weights/lstm.safetensors and lstm.onnx
"""

import os

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

import common

LENGTH, HIDDEN, CLASSES = 6, 50, 3
STEPS, BATCH, SEED = 12000, 256, 21
HELD_OUT = 5000


class Predictor(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, HIDDEN, batch_first=True)
        self.fc = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x):
        return self.fc(self.lstm(x)[0][:, -1])


def sequences(rng, count):
    """(count, LENGTH, 1) float32 and the classes; a sum of exactly 60 does not happen."""
    numbers = rng.uniform(0, 10, (count, LENGTH)).astype(np.float32)
    return numbers[..., None], (numbers.sum(1, dtype=np.float64) // 20).astype(np.int64)


def held_out():
    return sequences(np.random.default_rng([2, SEED]), HELD_OUT)


def export(model, path):
    """The legacy exporter keeps the batch dynamic and writes one LSTM node."""
    example = torch.zeros(1, LENGTH, 1)
    torch.onnx.export(
        model,
        example,
        path,
        dynamo=False,
        input_names=["seq_input"],
        output_names=["my_output"],
        dynamic_axes={"seq_input": {0: "batch"}, "my_output": {0: "batch"}},
        opset_version=14,
    )


def main():
    common.one_thread()
    common.seed_all(SEED)
    model = Predictor()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    state_path = os.path.join(common.work_folder("lstm"), "lstm.pt")
    rng = np.random.default_rng([1, SEED])
    state = common.load_state(state_path, model, optimizer)
    step = 0
    if state:
        step, rng = state["step"], state["rng"]
    progress = common.Progress("lstm", STEPS, BATCH, step)
    while step < STEPS:
        common.set_rate(optimizer, common.cosine(step, STEPS, 5e-3, 1e-5, warmup=100))
        x, wanted = sequences(rng, BATCH)
        loss = F.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(wanted))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        progress.step(step, loss.item())
        if step % 2000 == 0:
            common.save_state(state_path, step, model, optimizer, rng=rng)
    path = os.path.join(common.WEIGHTS, "lstm.safetensors")
    common.save_half(
        path, model.state_dict(), "lstm", "lstm.py", "class of the sum of six numbers of 0 to 10"
    )
    # Measured and exported as shipped: with the weights rounded to half precision.
    model.load_state_dict(load_file(path))
    model.eval()
    x, wanted = held_out()
    with torch.no_grad():
        right = (model(torch.from_numpy(x)).argmax(1).numpy() == wanted).mean()
    progress.write(f"held-out accuracy {100 * right:.2f} %")
    export(model, os.path.join(common.WEIGHTS, "lstm.onnx"))


if __name__ == "__main__":
    main()

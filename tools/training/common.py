"""What every trainer here does alike: seeds, states that survive a stop, a progress line, a log,
files in half precision."""

import os
import random
import time

import numpy as np
import torch
from safetensors.torch import save_file

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LOGS = os.path.join(ROOT, "tools", "training", "logs")
WEIGHTS = os.path.join(ROOT, "data", "weights")


def work_folder(name):
    """build/training/<name>: states and caches, never committed."""
    path = os.path.join(ROOT, "build", "training", name)
    os.makedirs(path, exist_ok=True)
    return path


def seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def one_thread():
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def save_state(path, step, model, optimizer, **extra):
    """Written beside and renamed, so that a stop in the middle leaves the previous state whole."""
    state = {
        "step": step,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "torch_rng": torch.get_rng_state(),
        "numpy_rng": np.random.get_state(),
        "python_rng": random.getstate(),
        **extra,
    }
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def load_state(path, model, optimizer):
    """The state saved at `path`, put into model, optimizer and generators; or None."""
    if not os.path.exists(path):
        return None
    # Our own file; it holds the states of the generators, which weights_only refuses.
    state = torch.load(path, weights_only=False)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["torch_rng"])
    np.random.set_state(state["numpy_rng"])
    random.setstate(state["python_rng"])
    return state


class Progress:
    """One line a percent of the run, on the screen and in tools/training/logs/<name>.log."""

    def __init__(self, name, steps, items_per_step, start_step=0):
        os.makedirs(LOGS, exist_ok=True)
        self.path = os.path.join(LOGS, name + ".log")
        self.steps, self.items = steps, items_per_step
        self.every = max(1, steps // 100)
        self.start_step, self.start = start_step, time.time()
        self.losses = []
        self.write(f"{name}: {steps} steps from {start_step}", fresh=start_step == 0)

    def write(self, line, fresh=False):
        print(line, flush=True)
        with open(self.path, "w" if fresh else "a") as log:
            log.write(line + "\n")

    def step(self, step, loss):
        """Call with the number of steps done and the loss of the last one."""
        self.losses.append(float(loss))
        if step % self.every and step != self.steps:
            return
        done = step - self.start_step
        seconds = time.time() - self.start
        left = seconds / done * (self.steps - step)
        mean = sum(self.losses) / len(self.losses)
        self.losses = []
        self.write(
            f"step {step}/{self.steps} loss {mean:.6f} "
            f"{done * self.items / seconds:.1f} items/s {left / 60:.1f} min left"
        )


def cosine(step, steps, first, last, warmup=0):
    """Learning rate: rises over `warmup` steps, then falls from `first` to `last` as a cosine."""
    if step < warmup:
        return first * (step + 1) / warmup
    return last + (first - last) * 0.5 * (
        1 + np.cos(np.pi * (step - warmup) / max(1, steps - warmup))
    )


def set_rate(optimizer, rate):
    for group in optimizer.param_groups:
        group["lr"] = float(rate)


def save_half(path, tensors, model, script, note):
    """Safetensors with the weights in half precision; everything of one dimension stays F32."""
    out = {}
    for name, tensor in tensors.items():
        # contiguous() alone keeps channels_last, which safetensors refuses to write.
        tensor = tensor.detach().clone(memory_format=torch.contiguous_format)
        if tensor.is_floating_point():
            tensor = tensor.half() if tensor.dim() > 1 else tensor.float()
        out[name] = tensor
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save_file(
        out,
        path,
        metadata={"model": model, "made_by": f"run-model tools/training/{script}", "note": note},
    )
    os.chmod(path, 0o644)  # safetensors writes files that only their owner reads

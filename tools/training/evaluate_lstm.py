"""Figures of the shipped LSTM classifier."""

import os

import numpy as np

import common
import lstm
import run_arrays


def figures(program):
    """(name, value, bound, passes) of each figure."""
    x, wanted = lstm.held_out()
    weights = os.path.join(common.WEIGHTS, "lstm.safetensors")
    logits = run_arrays.run(program, "lstm", weights, {"seq_input": x}, "my_output")
    right = 100 * np.mean(logits.argmax(1) == wanted)
    name = f"LSTM: accuracy on {len(wanted)} held-out sequences, %"
    return [(name, right, ">= 97", right >= 97)]

"""The same bits for any number of threads, on repeat, and wherever an item stands in its batch."""

import numpy as np
import pytest

from reference import s3fd, wav2lip

THREADS = (1, 2, 3, 4)


def same_bits(a, b):
    return a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.fixture(params=[0.25, 0.3], ids=["quarter", "odd"])
def weights(request, wav2lip_network):
    return wav2lip_network(request.param).file("zip")


def test_wav2lip_threads_and_repeats(program, weights, tmp_path, cpu):
    inputs = wav2lip.random_inputs(3, seed=40)
    first = program.wav2lip(weights, inputs, tmp_path, "--cpu", cpu, "--threads", 1)
    for threads in THREADS:
        again = program.wav2lip(weights, inputs, tmp_path, "--cpu", cpu, "--threads", threads)
        assert same_bits(first, again), f"{threads} threads"


@pytest.mark.parametrize("batch", [1, 5])
def test_full_width_wav2lip_threads(program, wav2lip_network, tmp_path, batch):
    path = wav2lip_network(1.0).file("zip")
    inputs = wav2lip.random_inputs(batch, seed=41)
    first = program.wav2lip(path, inputs, tmp_path, "--threads", 1)
    for threads in THREADS:
        again = program.wav2lip(path, inputs, tmp_path, "--threads", threads)
        assert same_bits(first, again), f"{threads} threads"


def test_s3fd_threads_and_repeats(program, s3fd_network, tmp_path, cpu):
    path = s3fd_network(0.25).file("zip")
    image = s3fd.random_image(2, 65, 71, 42)
    first = program.s3fd(path, image, tmp_path, "--cpu", cpu, "--threads", 1)
    for threads in THREADS:
        again = program.s3fd(path, image, tmp_path, "--cpu", cpu, "--threads", threads)
        for name, a, b in zip(s3fd.OUTPUT_NAMES, first, again):
            assert same_bits(a, b), f"{name}, {threads} threads"


def test_place_in_the_batch(program, weights, tmp_path, cpu):
    audio, face = wav2lip.random_inputs(5, seed=43)
    straight = program.wav2lip(weights, (audio, face), tmp_path, "--cpu", cpu)
    turned = program.wav2lip(weights, (audio.flip(0), face.flip(0)), tmp_path, "--cpu", cpu)
    assert same_bits(straight, np.ascontiguousarray(turned[::-1]))


def test_alone_and_in_a_batch(program, weights, tmp_path, cpu):
    """A user's frames do not depend on --wav2lip_batch_size."""
    audio, face = wav2lip.random_inputs(5, seed=44)
    together = program.wav2lip(weights, (audio, face), tmp_path, "--cpu", cpu)
    for i in range(5):
        pair = (audio[i : i + 1], face[i : i + 1])
        alone = program.wav2lip(weights, pair, tmp_path, "--cpu", cpu)
        assert same_bits(together[i : i + 1], alone), f"item {i}"


def test_s3fd_alone_and_in_a_batch(program, s3fd_network, tmp_path):
    path = s3fd_network(0.25).file("zip")
    image = s3fd.random_image(3, 49, 64, 45)
    together = program.s3fd(path, image, tmp_path)
    for i in range(3):
        alone = program.s3fd(path, image[i : i + 1], tmp_path)
        for name, a, b in zip(s3fd.OUTPUT_NAMES, together, alone):
            assert same_bits(a[i : i + 1], b), f"{name} of item {i}"

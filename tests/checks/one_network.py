"""What programs of one network are given, and what they should print: for checks that build
examples/one_network.c."""

import os
import struct
import subprocess
import sys

import house

NAMES = {"lstm": ("seq_input", "my_output"), "mobilenetv2": ("image", "classLabelProbs")}
SHAPES = {"lstm": (1, 16, 1), "mobilenetv2": (1, 3, 96, 96)}
ALLOWED = 5e-5  # of the largest number, as for a whole network


def run(*command):
    # qemu writes what a program prints to stderr.
    done = subprocess.run(command, cwd=house.ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        print(" ".join(command) + "\n" + done.stdout[-4000:])
        sys.exit(1)
    return done.stdout


def weights(network):
    return os.path.join(house.ROOT, "data", "weights", network + ".safetensors")


def made_up(shape):
    """What examples/one_network.c takes for its input."""
    count = 1
    for size in shape:
        count *= size
    return [(i % 17) / 16 - 0.5 for i in range(count)]


def write_npy(path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    numbers = made_up(shape)
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(struct.pack(f"<{len(numbers)}f", *numbers))


def numbers_of_npy(path):
    with open(path, "rb") as file:
        data = file.read()
    body = data[10 + struct.unpack("<H", data[8:10])[0]:]
    return struct.unpack(f"<{len(body) // 4}f", body)


def numbers_of_words(words):
    return tuple(struct.unpack(">f", bytes.fromhex(word))[0] for word in words)


def expected(program, network, folder):
    """What the program with all networks gives, at its portable level."""
    source = os.path.join(folder, network + ".in.npy")
    target = os.path.join(folder, network + ".out.npy")
    write_npy(source, SHAPES[network])
    name_in, name_out = NAMES[network]
    run(program, "exec", network, "--weights", weights(network), "--cpu", "portable", "--input",
        f"{name_in}={source}", "--output", f"{name_out}={target}", "--quiet")
    return numbers_of_npy(target)


def are_close(got, wanted):
    most = ALLOWED * max(map(abs, wanted))
    return len(got) == len(wanted) and all(abs(a - b) <= most for a, b in zip(got, wanted))

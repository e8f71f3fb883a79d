"""Only what a network uses is linked: static programs of one network, by musl-gcc -Os, stay small,
and give what the program with all networks gives, but for what its C library has in exp.

    check_size.py CMAKE RUN_MODEL
"""

import os
import shutil
import struct
import subprocess
import sys

import house

# network, its input, weights, bytes that the program may have without them
PROGRAMS = [
    ("lstm", "1,16,1", "lstm", 126_000),
    ("mobilenetv2", "1,3,96,96", "mobilenetv2", 158_000),
]
ALLOWED = 5e-5  # of the largest number, as for a whole network
OPTIONS = ["-DCMAKE_C_COMPILER=musl-gcc", "-DCMAKE_BUILD_TYPE=MinSizeRel", "-DRML_TESTS=OFF"] + [
    f"-DRML_{part}=OFF"
    for part in ("ISA", "THREADS", "LIBAV", "PNG", "JPEG", "TIFF", "WEBP", "STB")]
BLOB = """.section .rodata
.global weights_begin, weights_end
.balign 64
weights_begin: .incbin "{}"
weights_end:
.section .note.GNU-stack,"",%progbits
"""


def run(*command):
    done = subprocess.run(command, cwd=house.ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(" ".join(command) + "\n" + done.stdout[-2000:] + done.stderr[-2000:])
        sys.exit(1)
    return done.stdout


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


def numbers_of_words(text):
    return [struct.unpack(">f", bytes.fromhex(word))[0] for word in text.split()]


def main():
    cmake, program = sys.argv[1:]
    if not shutil.which("musl-gcc"):
        print("there is no musl-gcc here")
        sys.exit(77)
    folder = os.path.join(house.ROOT, "build", "small")
    run(cmake, "-S", ".", "-B", folder, "-G", "Ninja", *OPTIONS)
    run(cmake, "--build", folder, "--target", "runmodel_static")
    faults = []
    names = {"lstm": ("seq_input", "my_output"), "mobilenetv2": ("image", "classLabelProbs")}
    for network, shape, file, limit in PROGRAMS:
        weights = os.path.join(house.ROOT, "data", "weights", file + ".safetensors")
        blob, made = os.path.join(folder, network + ".s"), os.path.join(folder, network)
        with open(blob, "w", encoding="utf-8") as out:
            out.write(BLOB.format(weights))
        run("musl-gcc", "-Os", "-static", "-ffunction-sections", "-fdata-sections",
            f"-DNETWORK=rml_network_{network}", f"-DINPUT={shape}", "-Iinclude",
            "examples/one_network.c", blob, os.path.join(folder, "librunmodel.a"), "-lm", "-s",
            "-Wl,--gc-sections,-z,noseparate-code,-z,norelro", "-o", made)
        size = os.path.getsize(made) - os.path.getsize(weights)
        print(f"{network}: {size} bytes without its weights, at most {limit}")
        if size > limit:
            faults.append(f"{network}: {size} bytes, at most {limit}")
        source, target = made + ".in.npy", made + ".out.npy"
        write_npy(source, [int(part) for part in shape.split(",")])
        name_in, name_out = names[network]
        run(program, "exec", network, "--weights", weights, "--cpu", "portable", "--input",
            f"{name_in}={source}", "--output", f"{name_out}={target}", "--quiet")
        got, wanted = numbers_of_words(run(made)), numbers_of_npy(target)
        most = ALLOWED * max(map(abs, wanted))
        if len(got) != len(wanted) or any(abs(a - b) > most for a, b in zip(got, wanted)):
            faults.append(f"{network}: {got}, expected {wanted}")
    house.finish(len(PROGRAMS), faults)


main()

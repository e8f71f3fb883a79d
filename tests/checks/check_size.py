"""Only what a network uses is linked: static programs of one network, by musl-gcc -Os, stay small,
and give what the program with all networks gives, but for what its C library has in exp.

    check_size.py CMAKE RUN_MODEL
"""

import os
import shutil
import sys

import house
import one_network
from one_network import run

# network, bytes that the program may have without its weights
PROGRAMS = [("lstm", 126_000), ("mobilenetv2", 158_000)]
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


def main():
    cmake, program = sys.argv[1:]
    if not shutil.which("musl-gcc"):
        print("there is no musl-gcc here")
        sys.exit(77)
    folder = os.path.join(house.ROOT, "build", "small")
    run(cmake, "-S", ".", "-B", folder, "-G", "Ninja", *OPTIONS)
    run(cmake, "--build", folder, "--target", "runmodel_static")
    faults = []
    for network, limit in PROGRAMS:
        weights = one_network.weights(network)
        shape = ",".join(map(str, one_network.SHAPES[network]))
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
        got = one_network.numbers_of_words(run(made).split())
        wanted = one_network.expected(program, network, folder)
        if not one_network.are_close(got, wanted):
            faults.append(f"{network}: {got}, expected {wanted}")
    house.finish(len(PROGRAMS), faults)


main()

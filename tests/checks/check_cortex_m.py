"""Networks on small cores without an operating system, under qemu: the bits that the host's
portable level gives, a stack and a heap that are no larger than they were, and nothing of a C
library that wants files or memory.

    check_cortex_m.py CMAKE RUN_MODEL
"""

import os
import re
import shutil
import sys

import house
import one_network
from one_network import run

CORES = ("cortex-m3", "cortex-m4", "cortex-m7", "cortex-m55")
# Where doubles are computed in software, newlib has another expf and tanhf than the host's C
# library: an LSTM has its bits of there.
OTHER_BITS = {("cortex-m3", "lstm"), ("cortex-m4", "lstm")}
# network: most bytes of program without weights, stack and heap
LIMITS = {"lstm": (92_000, 7_500, 172_000), "mobilenetv2": (116_000, 8_192, 2_800_000)}
OF_A_SYSTEM = re.compile(r"^_*(malloc|calloc|realloc|free|memalign|sbrk|open|write|read|stat|fopen|"
                         r"fwrite|[a-z]*printf|exit|abort)(_r)?$")


def count(lines, what):
    return next(int(line.split()[1]) for line in lines if line.startswith(what + ": "))


def look_at(cmake, core, network, folder, wanted):
    made = os.path.join(folder, "examples", "cortex-m", network)
    names = run("arm-none-eabi-nm", made).split("\n")
    faults = [f"holds {line.split()[-1]}" for line in names
              if line and OF_A_SYSTEM.match(line.split()[-1])]
    text, data = run("arm-none-eabi-size", made).split("\n")[1].split()[:2]
    lines = run(cmake, "--build", folder, "--target", "run_" + network).split("\n")
    got = one_network.numbers_of_words(
        line for line in lines if re.fullmatch("[0-9a-f]{8}", line))
    same = one_network.are_close(got, wanted) if (core, network) in OTHER_BITS else got == wanted
    if not same:
        faults.append(f"{got}, expected {wanted}")
    size = int(text) + int(data) - os.path.getsize(one_network.weights(network))
    used = (size, count(lines, "stack"), count(lines, "heap"))
    print(f"{core} {network}: program {used[0]}, stack {used[1]}, heap {used[2]} bytes")
    for what, number, most in zip(("program", "stack", "heap"), used, LIMITS[network]):
        if number > most:
            faults.append(f"{what} of {number} bytes, at most {most}")
    return [f"{core} {network}: {fault}" for fault in faults]


def main():
    cmake, program = sys.argv[1:]
    if not shutil.which("arm-none-eabi-gcc") or not shutil.which("qemu-system-arm"):
        print("there is no arm-none-eabi-gcc or no qemu-system-arm here")
        sys.exit(77)
    faults = []
    for core in CORES:
        folder = os.path.join(house.ROOT, "build", core)
        run(cmake, "--preset", core)
        run(cmake, "--build", folder, "--target", "runmodel_static", *LIMITS)
        for network in LIMITS:
            wanted = one_network.expected(program, network, folder)
            faults += look_at(cmake, core, network, folder, wanted)
    house.finish(len(CORES) * len(LIMITS), faults)


main()

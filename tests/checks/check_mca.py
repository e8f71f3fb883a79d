"""The inner loops of the NEON kernels against what the pipes of two CPUs allow, by llvm-mca.

usage: check_mca.py OBJECT...    (of kernels/arm/, as the preset aarch64 builds them)

A loop is the innermost one of a function with as many multiply-adds as told, that calls nothing.
It fails when it takes longer than the limit / 0.95 (a few less, as told) on the Neoverse N1 or V2,
or when it touches the stack more than told. Skipped without LLVM's tools, of which Debian's llvm-19
has the models of both.
"""

import re
import shutil
import subprocess
import sys

import house

SKIPPED = 77
MODELS = ("neoverse-n1", "neoverse-v2")
TRIPLE = "-mtriple=aarch64"
ROUNDS = 200
REACHED = 0.95
REACHED_POOL = 0.9
MULTIPLY_ADD = ("fmla", "fmls")
OTHERS = ("fmax", "fadd")  # what loops without multiply-adds are known by

# What, function, multiply-adds of the loop, units of work in it, part of the limit that is reached,
# cycles of a unit on N1 and V2 as the limit: what the busiest pipes do for it, as llvm-mca counts.
# A division keeps one of two pipes of the N1 for seven cycles and one of two of the V2 for ten, a
# store of two vectors takes two cycles of those that multiply, a shift has one pipe of two.
# Of products the limit is that of the multiply-adds: two in a cycle, and four. With one row, the
# V2 waits for its three loads in a cycle: each weight counts once. Eight pixels of a depthwise 3x3
# are 72 multiply-adds, and copies, bounds and stores for the same pipes: 117 of which the N1 begins
# two in a cycle; on the V2 they are 75 loads and 8 stores, three in a cycle.
# Pools have five loads for four vectors, two in a cycle; on the V2 four maxima or sums wait two
# cycles for those before them.
LOOPS = [
    ("GEMM 12x8, 4 lanes", "rml_gemm_f32_neon", 48, 48, REACHED, 0.5, 0.25),
    ("GEMM 8x8, 4 lanes", "rml_gemm_f32_neon", 32, 32, REACHED, 0.5, 0.25),
    ("GEMM 12x4, 4 lanes", "rml_gemm_f32_neon", 24, 24, REACHED, 0.5, 0.25),
    ("LSTM of 6 rows, 4 lanes", "rml_lstm_f32_neon", 24, 24, REACHED, 0.5, 0.25),
    ("LSTM of 1 row, 4 lanes", "rml_lstm_f32_neon", 32, 32, REACHED, 0.5, 1 / 3),
    ("LSTM, a sigmoid of 4 lanes", "rml_lstm_sigmoid_neon", 21, 3, REACHED, 16.33, 9.0),
    ("LSTM, a tanh of 4 lanes", "rml_lstm_tanh_neon", 30, 3, 0.9, 14.17, 7.92),
    ("depthwise 3x3, 8 pixels, 4 lanes", "nine_taps_wide", 72, 72, REACHED, 117 / 144, 83 / 216),
    ("exp of 4 lanes", "rml_exp_f32_neon", 28, 4, REACHED, 10.5, 5.25),
    ("sigmoid of 4 lanes", "rml_sigmoid_f32_neon", 28, 4, REACHED, 16.5, 9.0),
    ("SiLU of 4 lanes", "rml_silu_f32_neon", 28, 4, REACHED, 17.0, 9.25),
    ("Swish of 4 lanes", "rml_swish_f32_neon", 28, 4, REACHED, 17.75, 9.5),
    ("tanh of 4 lanes", "rml_tanh_f32_neon", 40, 4, REACHED, 14.25, 7.9),
    ("erf of 4 lanes", "rml_erf_f32_neon", 80, 4, 0.93, 23.62, 11.81),
    ("GELU of 4 lanes", "rml_gelu_f32_neon", 80, 4, 0.93, 25.62, 12.69),
    ("GELU by tanh of 4 lanes", "rml_gelu_tanh_f32_neon", 32, 4, REACHED, 18.75, 10.12),
    ("ELU of 4 lanes", "rml_elu_f32_neon", 32, 4, REACHED, 10.0, 5.0),
    ("CELU of 4 lanes", "rml_celu_f32_neon", 32, 4, REACHED, 13.75, 7.62),
    ("SELU of 4 lanes", "rml_selu_f32_neon", 32, 4, REACHED, 10.0, 5.25),
    ("log of 4 lanes", "rml_log_f32_neon", 44, 4, REACHED, 20.37, 10.19),
    ("softplus of 4 lanes", "rml_softplus_f32_neon", 72, 4, REACHED, 40.37, 20.87),
    ("Mish of 4 lanes", "rml_mish_f32_neon", 28, 4, REACHED, 16.0, 9.0),
    ("arc tangent of 4 lanes", "rml_atan_f32_neon", 36, 4, 0.87, 12.5, 7.0),
    ("softmax, its exp of 4 lanes", "rml_softmax_f32_neon", 28, 4, REACHED, 11.5, 5.75),
    ("softmax by blocks, the same", "rml_softmax_step_f32_neon", 28, 4, REACHED, 10.5, 5.375),
    ("maxima of pixels, 4 lanes", "rml_pool_max_f32_neon", "4 fmax", 4, REACHED_POOL, 0.625, 0.5),
    ("means of pixels, 4 lanes", "rml_pool_sum_f32_neon", "4 fadd", 4, REACHED_POOL, 0.625, 0.5),
]

# Loops that have no registers left for all they keep, and how many loads and stores that costs.
STACK = {"softplus of 4 lanes": 7}


def tool(name):
    """LLVM's program of that name: 19 first, others from the newest on."""
    for version in ("-19", "-22", "-21", "-20", "-18", ""):
        if shutil.which(name + version):
            return name + version
    return None


def functions(objdump, path):
    """Function to [(address, instruction)]."""
    text = subprocess.run([objdump, "-d", "--no-show-raw-insn", path], capture_output=True,
                          text=True, check=True).stdout
    found, current = {}, []
    for line in text.splitlines():
        header = re.match(r"^[0-9a-f]+ <(.*)>:$", line)
        entry = re.match(r"^\s*([0-9a-f]+):\s+(\S.*)$", line)
        if header:
            current = found.setdefault(header[1], [])
        elif entry:
            bare = re.sub(r"\s*<.*>|\s*//.*", "", entry[2]).replace("\t", " ").strip()
            current.append((int(entry[1], 16), bare))
    return found


def innermost_loops(instructions):
    """The instructions from the target of a jump back to the jump, where no other is between."""
    ends = []
    for address, text in instructions:
        jump = re.match(r"(?:b|b\.\w+|cbn?z \w+,|tbn?z \w+, #\w+,) (0x[0-9a-f]+)$", text)
        if jump and int(jump[1], 16) <= address:
            ends.append((int(jump[1], 16), address))
    for first, last in sorted(set(ends)):
        if not any(first <= start and stop <= last for start, stop in ends
                   if (start, stop) != (first, last)):
            loop = [text for address, text in instructions if first <= address <= last]
            if not any(text.startswith("bl ") for text in loop):
                yield loop


def cycles_of(mca, model, loop):
    out = subprocess.run([mca, TRIPLE, f"-mcpu={model}", f"-iterations={ROUNDS}"],
                         input="\n".join(loop) + "\n", capture_output=True, text=True,
                         check=True).stdout
    return float(re.search(r"Total Cycles:\s+(\d+)", out)[1]) / ROUNDS


def main():
    mca, objdump = tool("llvm-mca"), tool("llvm-objdump")
    if not mca or not objdump:
        print("no llvm-mca or llvm-objdump here: Debian's package llvm-19 has both")
        sys.exit(SKIPPED)
    loops = {}
    for path in sys.argv[1:]:
        for name, instructions in functions(objdump, path).items():
            for loop in innermost_loops(instructions):
                adds = sum(text.startswith(MULTIPLY_ADD) for text in loop)
                loops.setdefault((name, adds), []).append(loop)
                for other in OTHERS if adds == 0 else ():
                    count = sum(text.startswith(other) for text in loop)
                    loops.setdefault((name, f"{count} {other}"), []).append(loop)
    faults = []
    print(f"{'cycles (limit)':34}" + "".join(f"{model:>22}" for model in MODELS))
    for what, function, adds, units, reached, *limits in LOOPS:
        found = loops.get((function, adds), [])
        if not found:
            faults.append(f"{what}: {function} has no loop with {adds} "
                          + ("" if isinstance(adds, str) else "multiply-adds"))
        for loop in found:
            line = f"{what:34}"
            stack = sum("sp" in re.split(r"\W+", text) for text in loop)
            if stack > STACK.get(what, 0):
                faults.append(f"{what}: {stack} instructions of its loop touch the stack")
            for model, limit in zip(MODELS, limits):
                cycles = cycles_of(mca, model, loop) / units
                line += f"{cycles:>13.3f} ({limit:.3f})"
                if cycles > limit / reached:
                    faults.append(f"{what}: {cycles:.3f} cycles on {model}, and no more than "
                                  f"{limit / reached:.3f} are allowed")
            print(line)
    house.finish(len(LOOPS), faults)


main()

"""What other ABIs take otherwise: x18, which Apple and Windows reserve on ARM, and `long`, which
has 32 bits on Windows. Only what a function of the system is declared with may be one."""

import re

import house

SYSTEM = re.compile(r"\b(strtol|strtoul|ftell|fseek|pathconf|getauxval|getpid|va_arg)\b")
LEFT_OUT = re.compile(r"//.*|/\*.*?\*/|\"(?:[^\"\\]|\\.)*\"")
LONG = re.compile(r"\blong\b(?<!long long)(?!\s+(?:long|double)\b)")
REGISTER = re.compile(r"\b[xw]18\b")


def main():
    faults, paths = [], [path for path in house.files(".c", ".h", ".inc", ".S")
                         if path.split("/")[0] in house.ORDER]
    for path in paths:
        for number, line in enumerate(house.read(path).splitlines(), 1):
            if REGISTER.search(line):
                faults.append(f"{path}:{number}: x18 is not ours on Apple's systems and Windows")
            code = LEFT_OUT.sub("", line).replace("long long", "int64_t")
            if LONG.search(code) and not SYSTEM.search(code):
                faults.append(f"{path}:{number}: a long has 32 bits on Windows")
    house.finish(len(paths), faults)


main()

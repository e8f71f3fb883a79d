"""Every header compiles alone and carries the guard its path asks for; public ones are C++ as well.

usage: check_headers.py C_COMPILER [C++ COMPILER]
"""

import re
import shutil
import subprocess
import sys

import house

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wundef", "-Wstrict-prototypes", "-Wpedantic",
            "-Werror"]
# A header that only some CPU levels include needs their instructions.
LEVEL_FLAGS = {
    "_avx2.h": ["-mavx2", "-mfma", "-mf16c", "-mbmi2"],
    "_avx512.h": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma",
                  "-mf16c", "-mbmi2"],
}
# Defined as in a full build, so that nothing hides behind an option.
DEFINES = ["-DRML_WITH_THREADS=1", "-DRML_WITH_LIBAV=1", "-DRML_WITH_STB=1"]


def compile_alone(compiler, language, path, flags):
    """The compiler's complaint, or None. Included twice: that tries the guard."""
    source = f'#include "{path}"\n#include "{path}"\ntypedef int rml_not_empty;\n'
    command = compiler.split() + ["-x", language, "-fsyntax-only", "-I.", "-Iinclude", *flags, "-"]
    done = subprocess.run(command, input=source, cwd=house.ROOT, capture_output=True, text=True,
                          check=False)
    return None if done.returncode == 0 else done.stderr.strip()


def refuses_big_endian(compiler):
    """Files are read as they lie in memory: on another byte order that must not compile."""
    command = compiler.split() + ["-fsyntax-only", "-I.", "-Iinclude", "-U__BYTE_ORDER__",
                                  "-D__BYTE_ORDER__=__ORDER_BIG_ENDIAN__", "tensor/dtype.c"]
    done = subprocess.run(command, cwd=house.ROOT, capture_output=True, text=True, check=False)
    return done.returncode != 0 and "little-endian" in done.stderr


def guard_of(path):
    inside = path[len("include/"):] if path.startswith("include/") else path
    name = re.sub(r"[^A-Za-z0-9]", "_", inside).upper()
    return name if name == "RUNMODEL_H" else "RML_" + name


def main():
    c_compiler = sys.argv[1]
    cxx_compiler = sys.argv[2] if len(sys.argv) > 2 else shutil.which("c++") or ""
    faults, headers = [], house.files(".h")
    for path in headers:
        flags = ["-std=c11", *WARNINGS, "-Wmissing-prototypes", *DEFINES]
        if "/arm/" in path or re.search(r"_neon(_\w+)?\.h$", path):
            continue
        for ending, extra in LEVEL_FLAGS.items():
            if path.endswith(ending):
                flags += extra
        complaint = compile_alone(c_compiler, "c", path, flags)
        if complaint:
            faults.append(f"{path}: does not compile alone:\n{complaint}")
        if f"#ifndef {guard_of(path)}\n#define {guard_of(path)}\n" not in house.read(path):
            faults.append(f"{path}: the guard is not {guard_of(path)}")
    if not refuses_big_endian(c_compiler):
        faults.append("tensor/dtype.c: compiles for a big-endian machine")
    if not cxx_compiler:
        faults.append("no C++ compiler to try the public headers with")
    else:
        for name in house.PUBLIC:
            for standard in ("-std=c++11", "-std=c++17"):
                complaint = compile_alone(cxx_compiler, "c++", name,
                                          [standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
                if complaint:
                    faults.append(f"{name}: is no {standard[5:]}:\n{complaint}")
    house.finish(len(headers), faults)


main()

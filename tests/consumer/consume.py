"""Installs the library to a temporary folder and builds the example against it as a stranger would.

usage: consume.py CMAKE BUILD_FOLDER C_COMPILER WEIGHTS_PROGRAM

Once through the CMake package (static, shared and the plain name), once through pkg-config (shared,
and static with everything), then each program runs a network of random weights; all must print the
same. The folder is moved after the install: an installed tree must not depend on where it was put
together.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE = os.path.join(ROOT, "examples", "run_network.c")
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(*command, **settings):
    print("+", shlex.join(command), flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False, **settings)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}{done.stderr}failed with {done.returncode}")
    return done.stdout


def installed_tree(cmake, build, folder):
    """Installs, and moves the tree away from the prefix it was installed to."""
    first, prefix = os.path.join(folder, "first"), os.path.join(folder, "prefix")
    run(cmake, "--install", build, "--prefix", first)
    shutil.move(first, prefix)
    headers = os.listdir(os.path.join(prefix, "include"))
    if headers != ["runmodel.h"]:
        sys.exit(f"include/ holds {headers}, and should hold runmodel.h alone")
    weights = set(os.listdir(os.path.join(ROOT, "data", "weights")))
    if set(os.listdir(os.path.join(prefix, "share", "run-model"))) != weights:
        sys.exit("share/run-model does not hold what data/weights holds")
    return prefix


def through_cmake(cmake, compiler, prefix, folder):
    build = os.path.join(folder, "cmake_build")
    run(cmake, "-S", os.path.join(ROOT, "tests", "consumer"), "-B", build, "-G", "Ninja",
        f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={compiler}", f"-DEXAMPLE={EXAMPLE}")
    run(cmake, "--build", build)
    return [os.path.join(build, name) for name in
            ("run_network", "run_network_static", "run_network_shared")]


def through_pkg_config(compiler, prefix, folder):
    found = [os.path.join(parent, "runmodel.pc") for parent, _, names in os.walk(prefix)
             if "runmodel.pc" in names]
    if len(found) != 1:
        sys.exit(f"one runmodel.pc expected, found {found}")
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(found[0]))
    programs = []
    for name, pkg_flags, link_flags in (("pc_shared", [], []), ("pc_static", ["--static"],
                                                                ["-static"])):
        flags = run("pkg-config", "--cflags", "--libs", *pkg_flags, "runmodel", env=env).split()
        program = os.path.join(folder, name)
        run(compiler, *STRICT, EXAMPLE, *link_flags, *flags, "-o", program)
        programs.append(program)
    libdir = run("pkg-config", "--variable=libdir", "runmodel", env=env).strip()
    return programs, libdir


def check_linkage(program):
    """A program that says it is shared must need the shared library, and no other may."""
    shared = "librunmodel.so" in run("readelf", "-d", program)
    if shared != program.endswith("_shared"):
        sys.exit(f"{program} is linked with the {'shared' if shared else 'static'} library")


def main():
    cmake, build, compiler, weights_program = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        prefix = installed_tree(cmake, build, folder)
        programs = through_cmake(cmake, compiler, prefix, folder)
        more, libdir = through_pkg_config(compiler, prefix, folder)
        weights = os.path.join(folder, "random.safetensors")
        run(weights_program, "wav2lip", weights)
        run(os.path.join(prefix, "bin", "run-model"), "--version")
        outputs = {}
        for program in programs + more:
            check_linkage(program)
            env = dict(os.environ, LD_LIBRARY_PATH=libdir)
            outputs[program] = run(program, "wav2lip", weights, env=env)
        print(outputs[programs[0]])
        if "frames: 1x3x96x96" not in outputs[programs[0]]:
            sys.exit("the output is not 1x3x96x96")
        if len(set(outputs.values())) != 1:
            sys.exit(f"the programs differ: {outputs}")
    print(f"{len(programs + more)} programs agree")


main()

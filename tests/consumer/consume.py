"""Installs the library to a temporary folder and builds the examples against it as a stranger.

usage: consume.py CMAKE BUILD_FOLDER C_COMPILER WEIGHTS_PROGRAM

Once through the CMake package (static, shared and the plain name), once through pkg-config (shared,
and static with everything), then each program runs a network of random weights; all of an example
must print the same. The folder is moved after the install: an installed tree must not depend on
where it was put together.
"""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "examples")
# What each prints, whatever it is linked with.
EXAMPLES = {"run_network": "frames: 1x3x96x96", "run_frames": "the other session: cancelled"}
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
    headers = sorted(os.listdir(os.path.join(prefix, "include")))
    if headers != ["runmodel.h", "runmodel_export.h", "runmodel_networks.h"]:
        sys.exit(f"include/ holds {headers}, and should hold the public headers alone")
    weights = set(os.listdir(os.path.join(ROOT, "data", "weights")))
    if set(os.listdir(os.path.join(prefix, "share", "run-model"))) != weights:
        sys.exit("share/run-model does not hold what data/weights holds")
    return prefix


def through_cmake(cmake, compiler, prefix, folder):
    build = os.path.join(folder, "cmake_build")
    run(cmake, "-S", os.path.join(ROOT, "tests", "consumer"), "-B", build, "-G", "Ninja",
        f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_C_COMPILER={compiler}", f"-DEXAMPLES={FOLDER}")
    run(cmake, "--build", build)
    return [os.path.join(build, name + kind) for name in EXAMPLES
            for kind in ("", "_static", "_shared")]


def through_pkg_config(compiler, prefix, folder):
    found = [os.path.join(parent, "runmodel.pc") for parent, _, names in os.walk(prefix)
             if "runmodel.pc" in names]
    if len(found) != 1:
        sys.exit(f"one runmodel.pc expected, found {found}")
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(found[0]))
    programs = []
    for kind, pkg_flags, link_flags in (("shared", [], []), ("static", ["--static"], ["-static"])):
        flags = run("pkg-config", "--cflags", "--libs", *pkg_flags, "runmodel", env=env).split()
        for name in EXAMPLES:
            program = os.path.join(folder, f"{name}_pc_{kind}")
            run(compiler, *STRICT, os.path.join(FOLDER, name + ".c"), *link_flags, *flags, "-o",
                program)
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
        env = dict(os.environ, LD_LIBRARY_PATH=libdir)
        for example, words in EXAMPLES.items():
            outputs = {}
            for program in programs + more:
                if os.path.basename(program).startswith(example):
                    check_linkage(program)
                    outputs[program] = run(program, "wav2lip", weights, env=env)
            print(next(iter(outputs.values())))
            if any(words not in text for text in outputs.values()):
                sys.exit(f'an output lacks "{words}": {outputs}')
            if len(set(outputs.values())) != 1:
                sys.exit(f"the programs differ: {outputs}")
    print(f"{len(programs + more)} programs agree")


main()

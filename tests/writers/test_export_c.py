"""`run-model export-c`: the C gives the bits of a session in order, here and on boards."""

import ctypes
import re
import shutil
import subprocess

import numpy as np
import onnx
import pytest

from conftest import ROOT

WEIGHTS = ROOT / "data" / "weights"
BOARDS = ["m3", "m4f", "m7", "m55"]
# Ticks of 40 instructions, and bytes: what docs/export-c.md says, of the shipped weights.
ON_M4F = {"lstm": (7259, 45132, 768), "mobilenetv2": (744147, 1012032, 258048)}
NETWORKS = {
    "lstm": ("seq_input", "1x6x1"),
    "mobilenetv2": ("image", "1x3x96x96"),
    "ffdnet": ("image", "1x3x64x48"),
    "wav2lip": ("face", "2x6x96x96"),
}
STRICT = ["-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
MAIN = """#include <stdlib.h>
#include "net.h"
int main(void)
{
    void *arena = aligned_alloc(16, (NET_SELFTEST_BYTES + 15) / 16 * 16);
    int failed = net_selftest(arena);
    free(arena);
    return failed;
}
"""


def weights_of(name):
    return WEIGHTS / ("ffdnet_color" if name == "ffdnet" else name)


def export(program, name, folder, *options):
    """net.c of a shipped network; the line it prints."""
    port, shape = NETWORKS[name]
    also = ["--input", "audio=2x1x80x16"] if name == "wav2lip" else []
    weights = weights_of(name).with_suffix(".safetensors")
    return program.run("export-c", name, "--weights", weights, "--input", f"{port}={shape}", *also,
                       "-o", folder / "net.c", *options).stdout


def compile_c(folder, *arguments, compiler="gcc"):
    subprocess.run([compiler, *STRICT, *arguments], cwd=folder, check=True)


def port_counts(folder):
    """Names and sizes of inputs and outputs, as the header tells them."""
    header = (folder / "net.h").read_text()
    names = re.findall(r"float \*(in|out)_(\w+)", header)
    shapes = re.findall(r"#define NET_(?:IN|OUT)_\w+_COUNT \d+u /\* ([\dx]+) \*/", header)
    return [(way, name, [int(n) for n in shape.split("x")])
            for (way, name), shape in zip(names, shapes, strict=True)]


def call(folder, inputs):
    """Outputs of net_run, in order, and that it wrote nothing behind its arena."""
    library = ctypes.CDLL(str(folder / "net.so"))
    arena_bytes = int(re.search(r"NET_ARENA_BYTES (\d+)u", (folder / "net.h").read_text())[1])
    arena = np.full(arena_bytes + 32, 0x5A, np.uint8)
    start = (-arena.ctypes.data) % 16
    outputs = [np.full(shape, np.nan, np.float32)
               for way, _, shape in port_counts(folder) if way == "out"]
    arrays = [np.ascontiguousarray(x, np.float32) for x in inputs] + outputs
    assert library.net_run(ctypes.c_void_p(arena.ctypes.data + start),
                           *(ctypes.c_void_p(a.ctypes.data) for a in arrays)) == 0
    assert (arena[start + arena_bytes:] == 0x5A).all()
    return outputs


@pytest.mark.parametrize("name", NETWORKS)
def test_bits(program, name, tmp_path):
    """Other inputs than those of the self-test, twice in the same arena."""
    export(program, name, tmp_path)
    compile_c(tmp_path, "-std=c99", "-O2", "-shared", "-fPIC", "net.c", "-lm", "-o", "net.so")
    ports = port_counts(tmp_path)
    g = np.random.default_rng(7)
    inputs = {n: g.uniform(0, 1, shape).astype(np.float32) for w, n, shape in ports if w == "in"}
    named = [n for w, n, _ in ports if w == "out"]
    wanted = program.exec(name, weights_of(name).with_suffix(".safetensors"), inputs, named,
                          tmp_path, "--in_order", "--cpu", "avx2")
    for _ in range(2):
        for ours, theirs in zip(call(tmp_path, inputs.values()), wanted):
            assert ours.tobytes() == theirs.tobytes(), np.abs(ours - theirs).max()


@pytest.mark.parametrize("file, port", [("yunet_n_dynamic.onnx", "input=1x3x96x64")])
def test_imported_graphs(program, shared_data, file, port, tmp_path):
    program.run("export-c", shared_data / "onnx" / file, "--input", port, "-o", tmp_path / "net.c")
    (tmp_path / "main.c").write_text(MAIN)
    compile_c(tmp_path, "-std=gnu11", "-O2", "main.c", "net.c", "-lm", "-o", "net")
    subprocess.run([tmp_path / "net"], check=True)


def test_ports(program, tmp_path):
    """An output that is an input, one that is a constant, two of one value, and names that give
    one identifier."""
    info = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node("Relu", ["a.b"], ["y"]),
             onnx.helper.make_node("Identity", ["y"], ["again"]),
             onnx.helper.make_node("Identity", ["a_b"], ["same"]),
             onnx.helper.make_node("Identity", ["k"], ["fixed"])]
    constant = onnx.numpy_helper.from_array(np.float32([3, 1, 4]), "k")
    graph = onnx.helper.make_graph(nodes, "g", [info(n, 1, [2, 3]) for n in ("a.b", "a_b")],
                                   [info("y", 1, [2, 3]), info("again", 1, [2, 3]),
                                    info("same", 1, [2, 3]), info("fixed", 1, [3])], [constant])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save(model, tmp_path / "model.onnx")
    program.run("export-c", tmp_path / "model.onnx", "-o", tmp_path / "net.c")
    compile_c(tmp_path, "-std=c99", "-shared", "-fPIC", "net.c", "-lm", "-o", "net.so")
    a, b = np.float32([[-1, 2, 3], [4, -5, 6]]), np.float32([[7, 8, 9], [1, 2, 3]])
    y, again, same, fixed = call(tmp_path, [a, b])
    assert (y == np.maximum(a, 0)).all() and (again == y).all()
    assert (same == b).all() and fixed.tolist() == [3, 1, 4]
    assert "in_a_b, const float *in_a_b_1" in (tmp_path / "net.h").read_text()


@pytest.mark.parametrize("compiler, options", [
    ("gcc", ["-std=gnu11", "-Os"]),
    ("gcc", ["-std=gnu11", "-O3", "-march=haswell"]),
    ("gcc", ["-std=gnu11", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover"]),
    ("clang", ["-std=gnu11", "-O2"]),
    ("g++", ["-x", "c++", "-O2", "-Wno-unused-parameter"]),
], ids=["small", "fused", "sanitizers", "clang", "c++"])
@pytest.mark.parametrize("name", ["lstm", "mobilenetv2"])
def test_compilers(program, name, compiler, options, tmp_path):
    """With and without fused multiply-adds of the CPU, in an arena without a byte to spare."""
    export(program, name, tmp_path)
    (tmp_path / "main.c").write_text(MAIN)
    compile_c(tmp_path, *options, "main.c", "net.c", "-lm", "-o", "net", compiler=compiler)
    subprocess.run([tmp_path / "net"], check=True)


def test_selftest_fails(program, tmp_path):
    """A weight that is another one."""
    export(program, "lstm", tmp_path)
    text = (tmp_path / "net.c").read_text()
    at = text.index("0x3", text.index("net_w0"))
    (tmp_path / "net.c").write_text(text[:at] + "0x4" + text[at + 3:])
    (tmp_path / "main.c").write_text(MAIN)
    compile_c(tmp_path, "-std=gnu11", "-O2", "main.c", "net.c", "-lm", "-o", "net")
    assert subprocess.run([tmp_path / "net"]).returncode == 1


@pytest.mark.parametrize("name", NETWORKS)
def test_needs_nothing(program, name, tmp_path):
    """No heap, files or writable numbers."""
    export(program, name, tmp_path)
    compile_c(tmp_path, "-std=c99", "-O2", "-c", "net.c")
    nm = subprocess.run(["nm", "net.o"], cwd=tmp_path, capture_output=True, text=True, check=True)
    kinds = [line.split()[-2:] for line in nm.stdout.splitlines()]
    assert {n for kind, n in kinds if kind == "U"} <= {"fmaf", "memcpy", "memset",
                                                       "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
    assert not [n for kind, n in kinds if kind in "BbCDd" and not n.startswith("net_w")
                and not n.startswith("net_b")]
    assert {n for kind, n in kinds if kind == "T"} == {"net_run", "net_selftest"}


def test_name_and_same_bytes(program, tmp_path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        export(program, "lstm", folder, "--name", "sums")
    for file in ("net.c", "net.h"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert "int sums_run(void *arena, const float *in_seq_input, float *out_my_output);" in \
        (tmp_path / "a" / "net.h").read_text()


def test_refusals(program, tmp_path):
    """What has no kernel in C, by name; what is not to be; and nothing is left."""
    done = program.run("export-c", "syncnet", "-o", tmp_path / "net.c", code=1)
    assert "2 of 39 operators cannot be written as C: audio_embedding (l2norm)" in done.stderr
    done = program.run("export-c", "lstm", "--input", "seq=1x6x1", "-o", tmp_path / "net.c", code=1)
    assert "lstm has no input of this name" in done.stderr
    done = program.run("export-c", "lstm", "--input", "seq_input=1x6x1", "-o", tmp_path / "net.cc",
                       code=1)
    assert "its name ends in .c" in done.stderr
    done = program.run("export-c", "lstm", "--input", "seq_input=1x6x1", "--cpu", "portable", "-o",
                       tmp_path / "net.c", code=1)
    assert "fused multiply-adds" in done.stderr
    assert program.run("export-c", "lstm", code=2).stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("name", ["lstm", "mobilenetv2"])
def test_boards(program, name, board, tmp_path):
    """The bits of this machine on a Cortex-M in qemu; flash, memory and instructions as told."""
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm", "cmake"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    export(program, name, tmp_path)
    build = tmp_path / "build"
    preset = "cortex-" + board.rstrip("f")
    command = ["cmake", "--preset", preset, "-B", build, f"-DNET={tmp_path}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    done = subprocess.run(["cmake", "--build", build, "--target", "run_net"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600)
    assert done.returncode == 0 and "the bits of the host" in done.stdout, done.stdout
    told = {what: int(number) for what, number in re.findall(r"(\w+): (\d+)", done.stdout)}
    size = subprocess.run(["arm-none-eabi-size", build / "examples/cortex-m/net"],
                          capture_output=True, text=True, check=True).stdout
    text, data = map(int, re.findall(r"\d+", size)[:2])
    assert data == 0 and told["stack"] <= 2048, (size, told)
    if board == "m4f":
        wanted_ticks, flash, memory = ON_M4F[name]
        assert abs(told["ticks"] - wanted_ticks) <= wanted_ticks / 100, told
        assert text <= flash * 1.01 and told["arena"] == memory, (size, told)

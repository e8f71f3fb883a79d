"""Times of reading, rewriting and planning graph files of 10^3 to 10^6 nodes, and how they grow.

    bench/graph_scaling.py PROGRAM [PROGRAM...] [--most 1000000] [--limit SECONDS] [--shapes a,b]

Prints a table: seconds of `run-model info` (user and system time) by shape and number of nodes for
each program, and the exponent between the last two sizes. A shape is tried up to --limit.
"""

import argparse
import math
import os
import resource
import subprocess
import tempfile


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def node(op, inputs, output, name):
    message = b"".join(field(1, i) for i in inputs) + field(2, output) + field(3, name)
    message += field(4, op)
    if op == "Concat":
        message += field(5, field(1, "axis") + field(3, 0) + field(20, 2))
    return field(1, message)


def port(number, name):
    tensor = field(1, 1) + field(2, field(1, field(1, 4)))
    return field(number, field(1, name) + field(2, field(1, tensor)))


def weight(name):
    return field(5, field(1, 4) + field(2, 1) + field(8, name) + field(9, bytes(16)))


def chain(n):
    """One value after another."""
    yield port(11, "v0")
    for i in range(n):
        yield node(("Relu", "Sigmoid")[i % 2], [f"v{i}"], f"v{i + 1}", f"n{i}")
    yield port(12, f"v{n}")


def fan_out(n):
    """One value that all read, in pairs that lead to outputs in turn."""
    yield port(11, "x")
    yield node("Relu", ["x"], "v0", "first")
    for i in range(1, n):
        yield node("Add", ["x", f"v{i - 1}"], f"v{i}", f"n{i}")
    yield port(12, f"v{n - 1}")


def initializers(n):
    """A weight of its own for every node."""
    yield port(11, "v0")
    for i in range(n):
        yield weight(f"w{i}")
        yield node("Mul", [f"v{i}", f"w{i}"], f"v{i + 1}", f"n{i}")
    yield port(12, f"v{n}")


def ports(n):
    """As many inputs and outputs as nodes."""
    for i in range(n):
        yield port(11, f"x{i}")
        yield node("Relu", [f"x{i}"], f"y{i}", f"n{i}")
        yield port(12, f"y{i}")


def residual(n):
    """Sums of the last value and one from far back."""
    yield port(11, "v0")
    for i in range(n):
        yield node("Add", [f"v{i}", f"v{i // 2}"], f"v{i + 1}", f"n{i}")
    yield port(12, f"v{n}")


def alive(n):
    """Values that are all there at once, then read from the last to the first."""
    yield port(11, "x")
    half = n // 2
    for i in range(half):
        yield node("Sigmoid", ["x"], f"v{i}", f"n{i}")
    for i in range(1, half):
        last = f"s{i - 1}" if i > 1 else f"v{half - 1}"
        yield node("Add", [last, f"v{half - 1 - i}"], f"s{i}", f"m{i}")
    yield port(12, f"s{half - 1}")


def concat(n):
    """A node that reads all the others."""
    yield port(11, "x")
    for i in range(n - 1):
        yield node("Sigmoid", ["x"], f"v{i}", f"n{i}")
    yield node("Concat", [f"v{i}" for i in range(n - 1)], "y", "all")
    yield port(12, "y")


SHAPES = [chain, fan_out, initializers, ports, residual, alive, concat]


def write(shape, n, path):
    # a graph's fields may come in any order, and so its nodes need no list
    graph = b"".join(shape(n))
    with open(path, "wb") as file:
        file.write(field(1, 8) + field(8, field(1, "") + field(2, 17)))
        file.write(field(7, graph))


def seconds(program, path, limit):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        subprocess.run([program, "info", path], check=True, capture_output=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return math.inf
    except subprocess.CalledProcessError as failure:
        return failure.stderr.decode(errors="replace").strip()[:60]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("programs", nargs="+")
    parser.add_argument("--most", type=int, default=10**6)
    parser.add_argument("--limit", type=float, default=60)
    parser.add_argument("--shapes", default="")
    options = parser.parse_args()
    sizes = [10**e for e in range(3, 7) if 10**e <= options.most]
    with tempfile.TemporaryDirectory() as folder:
        for shape in SHAPES:
            if options.shapes and shape.__name__ not in options.shapes.split(","):
                continue
            results = [[] for _ in options.programs]
            for n in sizes:
                path = os.path.join(folder, "graph.onnx")
                if any(len(times) == sizes.index(n) for times in results):
                    write(shape, n if n < 2**20 else 2**20 - 1, path)
                for program, times in zip(options.programs, results):
                    if len(times) == sizes.index(n):
                        taken = seconds(program, path, options.limit)
                        print(shape.__name__, n, program, taken, flush=True)
                        if isinstance(taken, float) and taken < math.inf:
                            times.append(taken)
            for program, times in zip(options.programs, results):
                row = " ".join(f"{t:9.3f}" for t in times)
                row += "         -" * (len(sizes) - len(times))
                grow = math.log10(times[-1] / times[-2]) if len(times) > 1 else math.nan
                print(f"| {shape.__name__:12} {row}  n^{grow:.2f}  {program}", flush=True)


if __name__ == "__main__":
    main()

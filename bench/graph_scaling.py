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


def line(n, step):
    """Values v0, v1, ...: step(i) says what the i-th node is and what it reads beside the last."""
    yield port(11, "v0")
    for i in range(n):
        op, *more = step(i)
        yield from (weight(name) for name in more if name[0] == "w")
        yield node(op, [f"v{i}", *more], f"v{i + 1}", f"n{i}")
    yield port(12, f"v{n}")


def chain(n):
    """One value after another."""
    return line(n, lambda i: ("Sigmoid" if i % 2 else "Relu",))


def fan_out(n):
    """One value that all read."""
    return line(n, lambda i: ("Add", "v0"))


def initializers(n):
    """A weight of its own for every node."""
    return line(n, lambda i: ("Mul", f"w{i}"))


def residual(n):
    """Sums of the last value and one from far back."""
    return line(n, lambda i: ("Add", f"v{i // 2}"))


def ports(n):
    """As many inputs and outputs as nodes."""
    for i in range(n):
        yield port(11, f"x{i}")
        yield node("Relu", [f"x{i}"], f"y{i}", f"n{i}")
        yield port(12, f"y{i}")


def at_once(count):
    yield port(11, "x")
    for i in range(count):
        yield node("Sigmoid", ["x"], f"v{i}", f"n{i}")


def alive(n):
    """Values that are all there at once, then read from the last to the first."""
    half = n // 2
    yield from at_once(half)
    for i in range(1, half):
        last = f"s{i - 1}" if i > 1 else f"v{half - 1}"
        yield node("Add", [last, f"v{half - 1 - i}"], f"s{i}", f"m{i}")
    yield port(12, f"s{half - 1}")


def concat(n):
    """A node that reads all the others."""
    yield from at_once(n - 1)
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

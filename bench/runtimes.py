"""Runtimes that are compared with run-model, each in a process of its own for each thread count.

A peer loads its network once, waits on a pipe, and answers one JSON line for each line
"RUNS" on stdin; a line with another job takes the place of the first. It reads its inputs from an
.npz file; its first output must agree with what is wanted, PyTorch's mostly, or what was measured
is something else.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAUSE = 0.3  # seconds between two measurements: worker threads of the last peer stop spinning
AGREES = 1e-2  # of the largest value; ncnn and OpenVINO round more than others

LAUNCHER = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def resident_bytes():
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) * 1024


# ---- in the peer's process ----------------------------------------------------------------------


def onnxruntime_peer(job, inputs):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(job["onnx"], options, providers=providers)
    return lambda: session.run(None, inputs)[0]


def bound_onnxruntime_peer(job, inputs):
    """Inputs and outputs lie in place, as run-model's do: nothing is allocated by a call."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.log_severity_level = 4
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(job["onnx"], options, providers=providers)
    binding = session.io_binding()
    for name, x in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(x))
    names = [output.name for output in session.get_outputs()]
    for name in names:
        binding.bind_output(name)
    session.run_with_iobinding(binding)
    values = binding.get_outputs()
    for name, value in zip(names, values):
        binding.bind_ortvalue_output(name, value)

    def run():
        session.run_with_iobinding(binding)
        return values[0]

    return run


def run_model_peer(job, inputs):
    import library

    session = library.Session(job["library"], job["onnx"], job["threads"], inputs)

    def run():
        session.run()
        return session

    return run


def pytorch_peer(job, inputs):
    import torch

    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "bench")]
    import networks

    torch.set_num_threads(job["threads"])
    model = networks.model_of(job["network"])
    tensors = [torch.from_numpy(x) for x in inputs.values()]

    return lambda: networks.answer_of(model, tensors)


def openvino_peer(job, inputs):
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": job["threads"],
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
    }
    model = openvino.Core().read_model(job["onnx"])
    # Sizes are told, as a user who wants speed would; run-model plans for them too.
    model.reshape({name: list(x.shape) for name, x in inputs.items()})
    request = openvino.compile_model(model, "CPU", settings).create_infer_request()
    return lambda: next(iter(request.infer(inputs).values()))


def ncnn_peer(job, inputs):
    import ncnn
    import numpy as np

    net = ncnn.Net()
    net.opt.num_threads = job["threads"]
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, name, False)
    if net.load_param(job["ncnn"] + ".param") or net.load_model(job["ncnn"] + ".bin"):
        raise SystemExit("ncnn cannot load the converted network")
    mats = [ncnn.Mat(np.ascontiguousarray(x[0])).clone() for x in inputs.values()]

    def run():
        extractor = net.create_extractor()
        for i, mat in enumerate(mats):
            extractor.input(f"in{i}", mat)
        return np.array(extractor.extract("out0")[1])

    return run


def array_of(value):
    import numpy as np

    for convert in ("numpy", "output"):  # values of ONNX Runtime and of run-model
        if hasattr(value, convert):
            return getattr(value, convert)()
    return np.asarray(value)


def prepare(job):
    """What runs the job once; says that it is ready, or why it is not."""
    import numpy as np

    with np.load(job["inputs"]) as stored:
        inputs = {name: stored[name] for name in stored.files}
    wanted = np.load(job["wanted"]).astype("f8")
    start = time.perf_counter()
    try:
        run = globals()[f"{job['kind']}_peer"](job, inputs)
        load = time.perf_counter() - start
        got = array_of(run()).astype("f8").reshape(wanted.shape)
    except Exception as fault:  # libraries throw what they like
        print(json.dumps({"why": str(fault)}), flush=True)
        return None
    error = float(np.abs(got - wanted).max(initial=0) / np.abs(wanted).max(initial=1e-30))
    print(json.dumps({"load_ms": load * 1e3, "error": error}), flush=True)
    return run


def serve(text):
    import numpy  # noqa: F401  # before memory is looked at

    before = resident_bytes()
    run = prepare(json.loads(text))
    for line in sys.stdin:
        if line.startswith("{"):
            run = None  # first: memory of the last one
            run = prepare(json.loads(line))
            continue
        times = []
        run()
        for _ in range(int(line)):
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) * 1e3)
        grown = resident_bytes() - before  # without the interpreter and its libraries
        print(json.dumps({"ms": times, "grown_bytes": grown}), flush=True)


# ---- in the process that compares ---------------------------------------------------------------


class Peer:
    """`job`: kind, threads, network, files. Not fit to be compared where it says why in `why`."""

    def __init__(self, job):
        command = [sys.executable, __file__, json.dumps(job)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        self.read_ready()

    def read_ready(self):
        line = self.process.stdout.readline()
        while line and not line.startswith("{"):  # libraries print to stdout too
            line = self.process.stdout.readline()
        ready = json.loads(line) if line else {"why": "ended early"}
        self.load_ms = ready.get("load_ms")
        self.why = ready.get("why") and "cannot run this network"
        if not self.why and not ready["error"] < AGREES:
            self.why = f"computes something else (off by {ready['error']:.1e})"

    def take(self, job):
        """Another job in the same process."""
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        self.read_ready()

    def measure(self, runs):
        self.process.stdin.write(f"{runs}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("a peer ended early")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def bench(program, *arguments):
    """run-model bench --json, by a small process in between that knows its peak memory."""
    command = [str(c) for c in (program, "bench", *arguments, "--json", "--quiet")]
    done = subprocess.run(
        [sys.executable, "-S", "-c", LAUNCHER, *command], capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    *lines, peak = done.stdout.splitlines()
    result = json.loads(lines[-1])
    result["peak_bytes"] = int(peak) * 1024
    return result


def parser_of(description):
    """Options of all that measures."""
    default = os.environ.get("RUN_MODEL", str(ROOT / "build" / "release" / "run-model"))
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--run-model", default=default)
    parser.add_argument("--output", type=argparse.FileType("w", encoding="utf-8"),
                        default=sys.stdout, help="write the table there instead of to stdout")
    return parser  # fmt: skip


def machine():
    """Lines that every table begins with."""
    import platform
    from importlib.metadata import version
    from importlib.util import find_spec

    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"model name\s*:\s*(.*)", info)
    commit = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True
    ).stdout.strip()
    packages = ("onnxruntime", "openvino", "ncnn", "torch")
    found = [f"{name} {version(name)}" if find_spec(name) else f"no {name}" for name in packages]
    return [
        f"CPU: {model[1] if model else platform.processor()}, {os.cpu_count()} CPUs visible, load "
        f"{os.getloadavg()[0]:.1f} before",
        f"run-model {commit or 'of an unknown commit'}, {', '.join(found)}",
        f"Command: python {' '.join(sys.argv)}",
    ]


if __name__ == "__main__":
    serve(sys.argv[1])

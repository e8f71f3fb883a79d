"""The backend tests that the onnx package builds, run through `run-model exec`.

    python tests/onnx/onnx_backend.py                      every one: name, status, why
    python tests/onnx/onnx_backend.py 'reduce_.*keepdims'  those whose name matches
    python tests/onnx/onnx_backend.py --op TopK            those whose model has the operator
    python tests/onnx/onnx_backend.py --keep DIR PATTERN   keeps model, inputs and what is expected
    python tests/onnx/onnx_backend.py --prune              takes what passes out of the refusals
    python tests/onnx/onnx_backend.py --onnxruntime        the same tests by ONNX Runtime

A test passes when every output has the type, the shape and, within the test's own tolerance, the
values that it should have. It is refused when the program says no with exit code 1 and a sentence.
Anything else is wrong.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import DATA_DIR, load_model_tests

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import onnx_scope  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).resolve().parent / "onnx_refused.txt"
KINDS = ("node", "real", "simple", "pytorch-converted", "pytorch-operator")
SECONDS = 120  # for one test
# What --onnxruntime prints; it is not run in the tests.
ONNXRUNTIME = "1.31.1 on the same tests: 1460 passed, 551 refused, 22 wrong"
BF16 = np.dtype(ml_dtypes.bfloat16)


@dataclass
class Case:
    name: str
    kind: str
    model: onnx.ModelProto
    data_sets: list  # of (inputs, outputs)
    rtol: float
    atol: float

    @property
    def out_of_scope(self):
        return onnx_scope.reason(self.model, self.data_sets[0][0])

    @property
    def input_names(self):
        """In the order of the data, which does not hold what the file itself holds."""
        constants = {t.name for t in self.model.graph.initializer}
        names = [i.name for i in self.model.graph.input]
        wanted = [n for n in names if n not in constants]
        return wanted if len(wanted) == len(self.data_sets[0][0]) else names

    @property
    def output_names(self):
        return [o.name for o in self.model.graph.output]


@dataclass
class Result:
    name: str
    status: str  # passed, refused, wrong
    message: str = ""


# ---- reading the tests ---------------------------------------------------------------------------


def array_of(value):
    """A test's value as an array, or None where NumPy's file format has no room for it."""
    if isinstance(value, TensorProto):
        value = numpy_helper.to_array(value)
    if value is None or isinstance(value, (list, tuple, dict, str)):
        return None
    array = np.asarray(value)
    return array if array.dtype == BF16 or array.dtype.kind in "fiub" else None


def read_value(path: Path, info):
    kind = info.type.WhichOneof("value")
    if kind != "tensor_type":
        return [kind]
    tensor = TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return tensor


def read_folder(folder: Path, model):
    sets = []
    for part in sorted(folder.glob("test_data_set_*")):
        found = []
        for name, infos in (("input", model.graph.input), ("output", model.graph.output)):
            count = len(list(part.glob(f"{name}_*.pb")))
            files = [part / f"{name}_{i}.pb" for i in range(count)]
            found.append([read_value(f, infos[i]) for i, f in enumerate(files)])
        sets.append(tuple(found))
    return sets


def read_light(path: Path, model):
    """A published network whose weights are made up; its input is a ramp."""
    constants = {t.name for t in model.graph.initializer}
    inputs = []
    for info in model.graph.input:
        if info.name not in constants:
            shape = [max(d.dim_value, 1) for d in info.type.tensor_type.shape.dim]
            count = int(np.prod(shape))
            inputs.append((np.arange(count).reshape(shape) / count).astype(np.float32))
    outputs = [
        read_value(path.with_name(f"{path.stem}_output_{i}.pb"), info)
        for i, info in enumerate(model.graph.output)
    ]
    return [(inputs, outputs)]


def load_cases():
    cases = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package divides by zero on purpose
        for kind in KINDS:
            for test in load_model_tests(kind=kind):
                model, sets = test.model, test.data_sets
                if test.url:  # published networks: the package holds them without their weights
                    path = Path(DATA_DIR) / "light" / Path(test.url).name
                    model = onnx.load(path)
                    sets = read_light(path, model)
                elif model is None:
                    model = onnx.load(Path(test.model_dir) / "model.onnx")
                    sets = read_folder(Path(test.model_dir), model)
                cases.append(Case(test.name, kind, model, sets, test.rtol, test.atol))
    return sorted(cases, key=lambda case: (KINDS.index(case.kind), case.name))


# ---- running one ---------------------------------------------------------------------------------


def save(path, array):
    """bfloat16, for which NumPy has no name, goes in and out of the program as float32."""
    np.save(path, array.astype(np.float32) if array.dtype == BF16 else array)


def load(path, expected):
    array = np.load(path)
    if expected.dtype == BF16 and array.dtype == np.float32:
        short = array.astype(BF16)
        if np.array_equal(short.astype(np.float32), array, equal_nan=True):
            return short
    return array


def compare(name, ours, expected, case):
    """The words of what is wrong, or None."""
    if ours.dtype != expected.dtype:
        return f"{name}: {ours.dtype} instead of {expected.dtype}"
    if ours.shape != expected.shape:
        return f"{name}: shape {ours.shape} instead of {expected.shape}"
    rtol = case.rtol
    if expected.dtype == BF16:  # two units in the last place, as the package's own runner allows
        rtol = max(rtol, 2**-6)
        ours, expected = ours.astype(np.float32), expected.astype(np.float32)
    atol = case.atol
    if expected.size and any(node.op_type in ("DFT", "STFT") for node in case.model.graph.node):
        # What is expected is a sum in float32, which errs by a rounding of the largest number,
        # also where it should be 0.
        atol = max(atol, np.finfo(np.float32).eps * np.abs(expected).max())
    try:
        np.testing.assert_allclose(ours, expected, rtol=rtol, atol=atol)
    except AssertionError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return f"{name}: " + " ".join(lines[1:4])
    return None


def first_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[0].strip() if lines else "nothing was said"


def run_data(program, case, data, folder):
    inputs, outputs = data
    arguments = [str(program), "exec", str(folder / "model.onnx"), "--quiet", "--threads", "1"]
    for i, (name, value) in enumerate(zip(case.input_names, inputs)):
        array = array_of(value)
        if array is not None:
            save(folder / f"in{i}.npy", array)
            arguments += ["--input", f"{name}={folder / f'in{i}.npy'}"]
    expected = [array_of(value) for value in outputs]
    for i, (name, array) in enumerate(zip(case.output_names, expected)):
        arguments += ["--output", f"{name}={folder / f'out{i}.npy'}"]
        if array is not None:
            save(folder / f"expected{i}.npy", array)
    (folder / "command").write_text(shlex.join(arguments) + "\n")
    try:
        done = subprocess.run(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return "wrong", f"not done after {SECONDS} s"
    if done.returncode == 1:
        why = first_line(done.stderr).removeprefix("run-model exec: ")
        return "refused", why.removeprefix(f"{folder / 'model.onnx'}: ")
    if done.returncode != 0:
        return "wrong", f"exit code {done.returncode}: {first_line(done.stderr)}"
    if any(array is None for array in expected):
        return "wrong", "ran, though what it should give has no place in an .npy file"
    for i, (name, array) in enumerate(zip(case.output_names, expected)):
        problem = compare(name, load(folder / f"out{i}.npy", array), array, case)
        if problem:
            return "wrong", problem
    return "passed", ""


def run_case(program, case, keep=None):
    folder = Path(tempfile.mkdtemp(prefix="onnx-")) if keep is None else Path(keep) / case.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / "model.onnx").write_bytes(case.model.SerializeToString())
        for data in case.data_sets:
            status, message = run_data(program, case, data, folder)
            if status != "passed":
                return Result(case.name, status, message)
        return Result(case.name, "passed")
    finally:
        if keep is None:
            shutil.rmtree(folder)


def run_cases(program, cases, keep=None):
    """The results in the order of `cases`; the program's processes run beside each other."""
    with ThreadPoolExecutor(min(4, (os.cpu_count() or 1) + 1)) as pool:
        return list(pool.map(lambda case: run_case(program, case, keep), cases))


# ---- the list of refusals ------------------------------------------------------------------------


def read_list():
    """{name: reason}"""
    lines = LIST.read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def complaint(case, result, listed):
    """What is wrong with a result, given the list of refusals; None: nothing."""
    reason = listed.get(case.name)
    if result.status == "wrong":
        return f"{case.name}: {result.message}"
    if result.status == "passed":
        return reason and f"{case.name} passes: take it out of {LIST.name}"
    expected = case.out_of_scope
    if expected is None:
        return f"{case.name} is in scope and refused: {result.message}"
    if reason is None:
        return f"{case.name} is refused and not listed: {result.message}"
    if reason != expected:
        return f"{case.name} is listed for {reason!r}, and should be for {expected!r}"
    return None


def prune(results):
    """Takes out what passes; adds nothing."""
    passed = {r.name for r in results if r.status == "passed"}
    lines = LIST.read_text().splitlines()
    kept = [line for line in lines if line.startswith("#") or line.split(": ")[0] not in passed]
    LIST.write_text("\n".join(kept) + "\n")


def totals(cases, results):
    counts = Counter(r.status for r in results)
    scope = sum(case.out_of_scope is None for case in cases)
    return (
        f"{len(cases)} tests, {scope} in scope: {counts['passed']} passed, "
        f"{counts['refused']} refused, {counts['wrong']} wrong"
    )


# ---- ONNX Runtime, for the figures above -------------------------------------------------------


def run_onnxruntime(case):
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    for inputs, outputs in case.data_sets:
        feeds = {n: array_of(v) for n, v in zip(case.input_names, inputs)}
        expected = [array_of(v) for v in outputs]
        if any(v is None for v in [*feeds.values(), *expected]):
            return Result(case.name, "refused", "has values that are no plain arrays")
        try:
            session = ort.InferenceSession(
                case.model.SerializeToString(), providers=["CPUExecutionProvider"]
            )
            got = session.run(None, feeds)
        except Exception as error:  # noqa: BLE001 - whatever it says is a refusal
            return Result(case.name, "refused", first_line(str(error)))
        for name, ours, array in zip(case.output_names, got, expected):
            problem = compare(name, np.asarray(ours), array, case)
            if problem:
                return Result(case.name, "wrong", problem)
    return Result(case.name, "passed")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pattern", nargs="?", default="", help="regular expression")
    parser.add_argument("--op", help="only tests whose model has this operator")
    parser.add_argument("--keep", metavar="DIR", help="keep the files of each test here")
    parser.add_argument("--only", help="show these only: passed, refused, wrong, open (in scope)")
    parser.add_argument("--prune", action="store_true", help="shorten the list of refusals")
    parser.add_argument("--onnxruntime", action="store_true", help="run ONNX Runtime instead")
    default = os.environ.get("RUN_MODEL") or ROOT / "build" / "release" / "run-model"
    parser.add_argument("--program", default=default)
    options = parser.parse_args()
    cases = [c for c in load_cases() if re.search(options.pattern, c.name)]
    if options.op:
        cases = [c for c in cases if options.op in onnx_scope.operators(c.model)]
    if options.onnxruntime:
        results = [run_onnxruntime(case) for case in cases]
    else:
        results = run_cases(options.program, cases, options.keep)
    for case, result in zip(cases, results):
        is_open = case.out_of_scope is None and result.status != "passed"
        if options.only in (None, result.status) or (options.only == "open" and is_open):
            reason = case.out_of_scope
            scope = f"[{reason}] " if reason else ""
            print(f"{result.name}\t{result.status}\t{scope}{result.message}")
    if options.prune and not options.onnxruntime:
        prune(results)
    print(totals(cases, results))


if __name__ == "__main__":
    main()

"""`run-model lstm`: numbers, rows of a file, a stream, against PyTorch."""

import csv
import io
import re
import subprocess
import time

import numpy as np
import pytest
import torch

from conftest import NETWORK_TOLERANCE, ROOT, json_lines
from reference import lstm

SIZES = [
    {},
    {"inputs": 4, "hidden": 37, "layers": 2, "classes": 5},
    {"inputs": 2, "hidden": 20, "both": True, "classes": 4},
]
IDS = ["published", "deep", "both-directions"]


def expected(network, rows, inputs):
    """Probabilities of each row, one at a time."""
    shaped = [torch.tensor(np.float32(row)).view(1, -1, inputs) for row in rows]
    return [torch.softmax(network(x)[0][0], 0).numpy() for x in shaped]


def probabilities(line):
    told = [entry["probability"] for entry in line["classes"]]
    assert told == sorted(told, reverse=True)
    return np.array([p for _, p in sorted((e["class"], e["probability"]) for e in line["classes"])])


def check(line, wanted):
    assert np.abs(probabilities(line) - wanted).max() <= NETWORK_TOLERANCE, line


def random_rows(count, inputs, seed, lengths=(1, 2, 3, 6, 20)):
    g = np.random.default_rng(seed)
    return [g.uniform(0, 10, inputs * int(g.choice(lengths))).astype(np.float32)
            for _ in range(count)]


def text_of(row, separator=","):
    return separator.join(f"{v:.9g}" for v in row)


@pytest.mark.parametrize("sizes", SIZES, ids=IDS)
def test_numbers(program, lstm_network, cpu, sizes):
    network, inputs = lstm_network(**sizes), sizes.get("inputs", 1)
    for row in random_rows(3, inputs, 1):
        arguments = ["lstm", *(f"{v:.9g}" for v in row), "-w", network.file("zip"), "--json"]
        (line,) = json_lines(program.run(*arguments, "--cpu", cpu).stdout)
        assert line["steps"] == len(row) // inputs
        check(line, expected(network, [row], inputs)[0])


def test_negative_numbers(program, lstm_network):
    network = lstm_network()
    row = [-3, -0.5, 1e-3, -2e1]
    arguments = ["lstm", *row[:2], "1e-3", "-2e1", "-w", network.file("zip"), "--json"]
    (line,) = json_lines(program.run(*arguments).stdout)
    check(line, expected(network, [row], 1)[0])


@pytest.mark.parametrize("sizes", SIZES, ids=IDS)
def test_rows_of_all_lengths(program, lstm_network, tmp_path, sizes):
    network, inputs = lstm_network(**sizes), sizes.get("inputs", 1)
    rows = random_rows(150, inputs, 2)
    (tmp_path / "a.csv").write_text("\n".join(map(text_of, rows)))
    arguments = ["lstm", "--input", tmp_path / "a.csv", "-w", network.file("zip"), "--json"]
    lines = json_lines(program.run(*arguments).stdout)
    assert [line["line"] for line in lines] == list(range(1, 151))
    for line, row, wanted in zip(lines, rows, expected(network, rows, inputs)):
        assert line["steps"] == len(row) // inputs
        check(line, wanted)
    for options in (["--batch", 1], ["--batch", 7, "--threads", 1], ["--threads", 3]):
        assert json_lines(program.run(*arguments, *options).stdout) == lines


def test_more_rows_than_are_held(program, lstm_network, tmp_path):
    network = lstm_network(hidden=8)
    rows = random_rows(9001, 1, 3, (1, 2))
    (tmp_path / "a.csv").write_text("\n".join(map(text_of, rows)) + "\n")
    arguments = ["lstm", "--input", tmp_path / "a.csv", "-w", network.file("zip"), "--csv"]
    table = list(csv.DictReader(io.StringIO(program.run(*arguments, "--top", 1).stdout)))
    assert [int(row["line"]) for row in table] == list(range(1, 9002))
    for i in (0, 4095, 4096, 9000):
        wanted = expected(network, [rows[i]], 1)[0]
        assert int(table[i]["class"]) == wanted.argmax()
        assert float(table[i]["probability"]) == pytest.approx(wanted.max(), abs=5e-5)


@pytest.mark.parametrize("text", [
    "1,2,3\n4,5,6\n", "1;2;3\r\n4;5;6", "1\t2\t3\n\n\n4\t5\t6\n", " 1, 2 ,3 \n4  5 6",
    "x,y,z\n1,2,3\n4,5,6", '"x one",y,z\n"1","2","3"\n4,5,6', "\ufeff1,2,3\n4,5,6",
    "\ufeffname\n1 2 3\n4 5 6\n", "1e0,+2,3.0\n0x4,5,6\n",
])
def test_ways_to_write_rows(program, lstm_network, tmp_path, text):
    network = lstm_network()
    (tmp_path / "a.csv").write_text(text, newline="")
    arguments = ["lstm", "--input", "a.csv", "-w", network.file("zip"), "--json"]
    done = program.run(*arguments, cwd=tmp_path)
    wanted = expected(network, [[1, 2, 3], [4, 5, 6]], 1)
    lines = json_lines(done.stdout)
    assert len(lines) == 2
    for line, values in zip(lines, wanted):
        check(line, values)
    header = "a.csv: line 1 was taken for a header\n"
    assert done.stderr == (header if "z" in text or "name" in text else "")
    assert program.run(*arguments, "--quiet", cwd=tmp_path).stderr == ""


def test_faulty_rows_are_told_and_the_rest_answered(program, lstm_network, tmp_path):
    network = lstm_network(inputs=2, hidden=9)
    rows = ["1,2", "1,,2", "3,cat", "1,2,3", "nan,1", "1e99,1", "5,6,7,8", "1,2,"]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    arguments = ["lstm", "--input", "a.csv", "-w", network.file("zip")]
    done = program.run(*arguments, cwd=tmp_path, code=1)
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["line 1", "line 7"]
    parts = ["line 2: field 2 is empty", "line 3: 'cat' is not", "line 4: 3 numbers are not a",
             "line 5: 'nan' is not", "line 6: '1e99' is not", "line 8: field 3 is empty"]
    told = done.stderr.splitlines()
    assert len(told) == len(parts)
    for line, part in zip(told, parts):
        assert line.startswith("run-model lstm: a.csv: ") and part in line
    lines = json_lines(program.run(*arguments, "--json", cwd=tmp_path, code=1).stdout)
    assert ["error" in line for line in lines] == [False] + [True] * 5 + [False, True]
    for text, part in [("", "no numbers"), ("a,b\n", "no numbers"), ("\n\n", "no numbers")]:
        (tmp_path / "a.csv").write_text(text)
        assert f"a.csv: there are {part}" in program.run(*arguments, cwd=tmp_path, code=1).stderr
    done = program.run("lstm", "--input", "gone.csv", "-w", network.file("zip"), code=1)
    assert done.stderr == "run-model lstm: gone.csv: cannot open: No such file or directory\n"


def stream(program, weights, text, *options, code=0):
    command = program.command("lstm", "--stream", "-w", weights, *options)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize("sizes", SIZES[:2], ids=IDS[:2])
def test_stream_is_the_sequence_so_far(program, lstm_network, cpu, sizes):
    network, inputs = lstm_network(**sizes), sizes.get("inputs", 1)
    (row,) = random_rows(1, inputs, 4, (30,))
    # Steps of several numbers are broken over lines, and lines hold several steps.
    words = [f"{v:.9g}" for v in row]
    text = "\n".join(" ".join(words[i : i + 3]) for i in range(0, len(words), 3)) + "\n"
    done = stream(program, network.file("zip"), text + "reset\n" + text, "--json", "--cpu", cpu)
    lines = json_lines(done.stdout)
    assert [line["step"] for line in lines] == list(range(1, 61))
    prefixes = [row[: inputs * (i + 1)] for i in range(30)]
    wanted = expected(network, prefixes, inputs)
    for line, values in zip(lines, wanted + wanted):
        check(line, values)
    assert [line["classes"] for line in lines[:30]] == [line["classes"] for line in lines[30:]]


def test_stream_answers_at_once(program, lstm_network):
    """An answer is there before the next number is asked for."""
    options = ["-w", lstm_network().file("zip"), "--csv", "-k", 1]
    command = program.command("lstm", "--stream", *options)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "step,rank,class,label,probability\n"
        for step in range(1, 5):
            run.stdin.write(f"{step}\n")
            run.stdin.flush()
            assert run.stdout.readline().startswith(f"{step},1,")
        run.stdin.close()
        assert run.wait(10) == 0


def test_stream_refusals(program, lstm_network):
    weights = lstm_network(inputs=4, hidden=5).file("zip")
    assert "it ends within a step: 3 of 4" in stream(program, weights, "1 2 3", code=1).stderr
    done = stream(program, weights, "1 2\nreset\n", code=1)
    assert "ends within a step: 2 of 4" in done.stderr
    done = stream(program, weights, "1 2 3 4\nfive\n6 7 8 9", code=1)
    assert done.stdout.count("\n") == 1
    assert done.stderr == ("run-model lstm: standard input: line 2: 'five' is not a finite "
                           "number\n")
    both = lstm_network(**SIZES[2]).file("zip")
    done = stream(program, both, "1 2\n", code=1)
    assert "reads sequences from both ends" in done.stderr
    assert stream(program, weights, "").stdout == ""


def test_labels_and_kinds_of_output(program, lstm_network, tmp_path):
    network = lstm_network()
    (tmp_path / "names.txt").write_text("low\nmiddle\nhigh\n")
    arguments = ["lstm", 1, 2, 3, "-w", network.file("zip"), "--labels", tmp_path / "names.txt"]
    wanted = expected(network, [[1, 2, 3]], 1)[0]
    names, best = ["low", "middle", "high"], np.argsort(-wanted)
    text = ", ".join(f"{names[i]} {100 * wanted[i]:.2f} %" for i in best)
    assert program.run(*arguments).stdout == text + "\n"
    assert program.run(*arguments, "--top", 1).stdout == text.split(",")[0] + "\n"
    table = list(csv.DictReader(io.StringIO(program.run(*arguments, "--csv").stdout)))
    assert [row["label"] for row in table] == [names[i] for i in best]
    (tmp_path / "names.txt").write_text("low\n")
    done = program.run(*arguments, code=1)
    assert "names.txt: names 1 classes, and the network has 3" in done.stderr


def test_onnx_file_of_the_same_network(program, tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(map(text_of, random_rows(20, 1, 5, (6,)))))
    arguments = ["lstm", "--input", tmp_path / "a.csv", "--json", "-w"]
    ours, onnx = (json_lines(program.run(*arguments, ROOT / "data/weights" / name).stdout)
                  for name in ("lstm.safetensors", "lstm.onnx"))
    assert len(ours) == 20
    for a, b in zip(ours, onnx):
        assert np.abs(probabilities(a) - probabilities(b)).max() <= NETWORK_TOLERANCE


def test_progress_after_two_seconds(program, lstm_network):
    command = program.command("lstm", "--input", "-", "-w", lstm_network().file("zip"), "-k", 1)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as run:
        run.stdin.write("1,2,3\n" * 3)
        run.stdin.flush()
        time.sleep(2.2)
        out, told = run.communicate("4,5,6\n" * 5000, timeout=60)
    assert run.returncode == 0 and out.count("\n") == 5003
    assert re.fullmatch(r"\d+ sequences\n", told), told


def test_wrong_usage(program, lstm_network):
    weights = lstm_network().file("zip")
    for options, part in [
        ([], "no numbers: give NUMBER..., --input FILE.csv or --stream"),
        ([1, "--stream"], "several kinds of input"),
        (["--input", "a.csv", "--stream"], "several kinds of input"),
        ([1, "two"], "'two' is not a finite number"),
        ([1, "inf"], "'inf' is not a finite number"),
        ([1, "--csv", "--json"], "exclude each other"),
    ]:
        done = program.run("lstm", *options, "-w", weights, code=2)
        assert part in done.stderr and done.stderr.count("\n") == 1, options
    done = program.run("lstm", 1, 2, 3, "-w", lstm_network(inputs=4, hidden=5).file("zip"), code=1)
    assert "3 numbers are not a whole number of steps, which take 4 each" in done.stderr

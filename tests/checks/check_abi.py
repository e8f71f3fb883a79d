"""The binary interface, compared with the one on record, so that a break is a decision.

usage: check_abi.py [--update] C_COMPILER SHARED_LIBRARY

On record in abi.txt: the exported symbols with their versions and the name that programs ask for
(SONAME); prototypes of functions and callbacks; sizes and offsets of structs, and values of
enumerations and macros, as a compiled program tells them. The record is of 64-bit systems. What is
added may be recorded by --update; what is changed or taken away breaks programs that are there.
"""

import os
import re
import subprocess
import sys
import tempfile

import house

RECORD = os.path.join("tests", "checks", "abi.txt")
SIZED = "size_t size;"  # how structs that callers fill begin


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def plain(text):
    """Without comments and with single spaces."""
    return " ".join(re.sub(r"//[^\n]*", "", text).split())


def members(body):
    """Names of a struct's members, in order."""
    found = []
    for declaration in filter(None, (part.strip() for part in body.split(";"))):
        pointer = re.search(r"\(\*(\w+)\)\(", declaration)
        found += [pointer.group(1)] if pointer else [
            re.sub(r"\[.*", "", name).split()[-1].lstrip("*") for name in declaration.split(",")]
    return found


def make_probe(header):
    """A program that prints layouts and values, and a list of faults in the structs themselves."""
    lines, faults = [], []
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", header, re.DOTALL):
        names = members(plain(body))
        lines.append(f'printf("struct {name} %zu\\n", sizeof({name}));')
        lines += [f'printf("  {member} %zu %zu\\n", offsetof({name}, {member}), '
                  f"sizeof((({name} *)0)->{member}));" for member in names]
        if plain(body).startswith(SIZED):
            # A member of a later version in what was padding would be read where it never was set.
            lines.append(f"if (offsetof({name}, {names[-1]}) + sizeof((({name} *)0)->{names[-1]}) "
                         f'!= sizeof({name})) printf("fault: {name} ends in padding\\n");')
        elif name.endswith("_settings"):
            faults.append(f"{name} does not begin with its size")
    for body, name in re.findall(r"typedef enum \w+ \{(.*?)\} (\w+);", header, re.DOTALL):
        lines.append(f'printf("enum {name} %zu\\n", sizeof({name}));')
        lines += [f'printf("  {value} %d\\n", (int){value});' for value in
                  re.findall(r"\b(RML_\w+)\b(?=\s*(?:=|,|$))", plain(body))]
    for macro in re.findall(r"^#define (RML_(?!VERSION)\w+) (?:\(|\d)", header, re.MULTILINE):
        lines.append(f'printf("macro {macro} %lld\\n", (long long){macro});')
    includes = "".join(f"#include <{name}>\n" for name in house.PUBLIC)
    return (includes + "#include <stdio.h>\nint main(void)\n{\n" + "\n".join(lines) +
            "\nreturn 0;\n}\n"), faults


def layouts(compiler, header):
    probe, faults = make_probe(header)
    with tempfile.TemporaryDirectory() as folder:
        source, program = os.path.join(folder, "probe.c"), os.path.join(folder, "probe")
        with open(source, "w", encoding="utf-8") as file:
            file.write(probe)
        run(compiler, "-std=c11", "-I", os.path.join(house.ROOT, "include"), source, "-o", program)
        lines = run(program).splitlines()
    return ([line for line in lines if not line.startswith("fault: ")],
            faults + [line[7:] for line in lines if line.startswith("fault: ")])


def interface(compiler, library):
    header = "".join(house.read(f"include/{name}") for name in house.PUBLIC)
    soname = re.search(r"\(SONAME\).*\[(.*)\]", run("readelf", "-d", library))
    lines = [f"soname {soname.group(1) if soname else 'none'}"]
    exported = run("nm", "-D", "--defined-only", "--with-symbol-versions", library).splitlines()
    lines += sorted(f"symbol {line.split()[-1]}" for line in exported if line.split()[-2] != "A")
    lines += sorted("function " + plain(text) for text in
                    re.findall(r"^RML_API\s+([^;{]+);", header, re.MULTILINE))
    lines += sorted("callback " + plain(text) for text in
                    re.findall(r"^typedef ([^;{]*\(\*\w+\)\([^;]*\));", header, re.MULTILINE))
    probed, faults = layouts(compiler, header)
    return lines + probed, faults


def keyed(lines):
    """Every line with what it belongs to, so that equal members of two structs differ."""
    owner, found = "", []
    for line in lines:
        owner = owner if line.startswith("  ") else line.rsplit(" ", 1)[0]
        found.append(f"{owner}:{line}" if line.startswith("  ") else line)
    return found


def main():
    arguments = [text for text in sys.argv[1:] if text != "--update"]
    if sys.maxsize < 2**32 or sys.platform != "linux":
        print("skipped: the record is of 64-bit Linux")
        sys.exit(77)
    now, faults = interface(*arguments)
    path = os.path.join(house.ROOT, RECORD)
    if len(arguments) != len(sys.argv) - 1:
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(now) + "\n")
    before = keyed(house.read(RECORD).splitlines()) if os.path.exists(path) else []
    current = keyed(now)
    known, there = set(before), set(current)
    faults += [f"changed or gone: {line}" for line in before if line not in there]
    faults += [f"not on record: {line}" for line in current if line not in known]
    if faults:
        print("a break is a decision: python3 tests/checks/check_abi.py --update COMPILER LIBRARY")
    house.finish(len(current), faults)


main()

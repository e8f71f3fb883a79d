"""What the built library shows and uses, read from its object code.

usage: check_symbols.py STATIC_LIBRARY SHARED_LIBRARY OTHER_STATIC_LIBRARY...

- the shared library exports exactly the functions of the public headers
- every global name of the static libraries begins with rml_: they share one name space with the
  program they are linked into
- library code does not print, exit, abort or allocate behind the allocator's back
- library code has no writable data: no globals, no static state
"""

import re
import subprocess
import sys

import house

# Writing to an open file is fine; the standard streams are not the library's to write to.
PRINTS = "printf vprintf puts putchar perror psignal __printf_chk __vprintf_chk".split()
STREAMS = "stdin stdout stderr".split()
STOPS = "exit _exit _Exit quick_exit abort raise".split()
ALLOCATES = """malloc calloc realloc reallocarray free aligned_alloc posix_memalign memalign valloc
               strdup strndup getline asprintf vasprintf""".split()
NOT_FOR_THREADS = "strerror strtok localtime gmtime setlocale".split()
FORBIDDEN = set(PRINTS + STREAMS + STOPS + ALLOCATES + NOT_FOR_THREADS)

# Object file to names it may use, or hold as writable data, all the same, each for a reason.
C_ALLOCATOR = {"malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign"}
EXCEPTIONS = {
    # where the C library's allocator becomes the default one
    "alloc_default.c.o": C_ALLOCATOR,
    # libjpeg-turbo hands out profiles in memory of the C library
    "jpeg_codec.c.o": {"free"},
    # stb_image and stb_image_write as they come: no allocator argument, tables that lack a const,
    # and a thread-local reason of failure
    "stb_codec.c.o": C_ALLOCATOR | {"stbi__g_failure_reason", "mapping", "firstmap",
                                    "invalid_chunk"},
}
API = re.compile(r"^RML_API\b[^;{]*?\b(rml_\w+)\(", re.MULTILINE)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def members(library):
    """Object name to [(symbol, kind)] of an archive, by nm."""
    found, current = {}, None
    for line in run("nm", library).splitlines():
        if line.endswith(":"):
            current = found.setdefault(line[:-1], [])
        elif line.strip():
            *_, kind, symbol = line.split()
            current.append((symbol.split("@")[0], kind))
    return found


def writable_data(library):
    """(object, symbol) of every datum in a section that may be written to."""
    found, current = [], ""
    for line in run("objdump", "-t", library).splitlines():
        header = re.match(r"^(\S+):\s+file format", line)
        if header:
            current = header.group(1)
        entry = re.match(r"^[0-9a-f]+ (.{7}) (\S+)\s+([0-9a-f]+) (?:\.hidden )?(\S+)$", line)
        if not entry:
            continue
        flags, section, size, symbol = entry.groups()
        constant = section.startswith((".data.rel.ro", ".rodata"))
        writable = section.startswith((".data", ".bss", ".tbss", ".tdata", "*COM*"))
        if writable and not constant and "d" not in flags and int(size, 16) > 0:
            found.append((current, symbol))
    return found


def check_archive(library):
    faults, objects = [], members(library)
    for name, symbols in objects.items():
        for symbol, kind in symbols:
            if kind.isupper() and kind not in "UVW" and not symbol.startswith("rml_"):
                faults.append(f"{name}: global name {symbol} does not begin with rml_")
            allowed = EXCEPTIONS.get(name, ())
            if kind == "U" and symbol in FORBIDDEN and symbol not in allowed:
                faults.append(f"{name}: uses {symbol}")
    for name, symbol in writable_data(library):
        # The compiler numbers the static variables of functions: table.24.
        if symbol.split(".")[0] not in EXCEPTIONS.get(name, ()):
            faults.append(f"{name}: {symbol} is writable data")
    return len(objects), faults


def check_exports(shared):
    declared = {name for header in house.PUBLIC
                for name in API.findall(house.read(f"include/{header}"))}
    exported = set()
    for line in run("nm", "-D", "--defined-only", shared).splitlines():
        *_, kind, symbol = line.split()
        if kind != "A":  # the name of the version
            exported.add(symbol.split("@")[0])
    faults = [f"{name} is declared in a public header and not defined" for name in
              sorted(declared - exported)]
    faults += [f"{name} is exported and not declared in a public header" for name in
               sorted(exported - declared)]
    if not declared:
        faults.append("no function found in the public headers")
    return faults


def main():
    static, shared, *others = sys.argv[1:]
    checked, faults = 0, check_exports(shared)
    for archive in [static, *others]:
        more, archive_faults = check_archive(archive)
        checked, faults = checked + more, faults + archive_faults
    house.finish(checked, faults)


main()

"""Include direction: a folder includes only what lies above it, and names it from the root."""

import os
import re

import house

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]*)"|<([^>]*)>)', re.MULTILINE)

# Third-party headers and who may see them.
OUTSIDE = re.compile(r"^(libav|libsw|stb/)")
# tools/ are what a user calls: they know the public header and the pipelines, not the library's
# insides. examples/ are programs of somebody else.
ALLOWED_ONLY = {"tools": {"include", "pipelines", "tools"}, "examples": {"include", "examples"}}
FREE = {"tests", "bench"}


def folder_of(path):
    return "include" if path == "runmodel.h" else path.split("/")[0]


def fault_of(path, quoted, angled):
    home = path.split("/")[0]
    if angled is not None:
        if OUTSIDE.match(angled) and home != "media" and home not in FREE:
            return f"<{angled}> belongs in media/"
        return None
    target = "include/runmodel.h" if quoted == "runmodel.h" else quoted
    if not os.path.isfile(os.path.join(house.ROOT, target)):
        return f'"{quoted}" is no file of the tree, seen from its root'
    if home in FREE:
        return None
    folder = folder_of(quoted)
    if home in ALLOWED_ONLY:
        return None if folder in ALLOWED_ONLY[home] else f'{home}/ may not include "{quoted}"'
    if folder not in house.ORDER or home not in house.ORDER:
        return f'"{quoted}" goes from or to a folder without a place in the order'
    if house.ORDER.index(folder) > house.ORDER.index(home):
        return f'{home}/ may not include "{quoted}": {folder}/ lies below it'
    return None


def main():
    faults, checked = [], 0
    for path in house.files(".c", ".h", ".inc"):
        text = house.read(path)
        for match in INCLUDE.finditer(text):
            checked += 1
            fault = fault_of(path, match.group(1), match.group(2))
            if fault:
                line = text.count("\n", 0, match.start(1 if match.group(1) else 2)) + 1
                faults.append(f"{path}:{line}: {fault}")
    house.finish(checked, faults)


main()

"""Include direction: a folder includes only what lies above it, and names it from the root; no
units, a .c and the header of its name, include each other in a circle."""

import os
import re

import house

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"]*)"|<([^>]*)>)', re.MULTILINE)

# Third-party headers and who may see them.
OUTSIDE = re.compile(r"^(libav|libsw|stb/)")
# tools/ are what a user calls: they know the public header and the pipelines, not the library's
# insides. examples/ are programs of somebody else.
# And what they include brings no more than this along, through any number of headers.
BROUGHT_ALONG = {"tools": {"include", "media", "pipelines", "tools"}}
ALLOWED_ONLY = {"tools": {"include", "pipelines", "tools"}, "examples": {"include", "examples"}}
FREE = {"tests", "bench"}


def folder_of(path):
    return "include" if path in house.PUBLIC else path.split("/")[0]


def fault_of(path, quoted, angled):
    home = path.split("/")[0]
    if angled is not None:
        if OUTSIDE.match(angled) and home != "media" and home not in FREE:
            return f"<{angled}> belongs in media/"
        return None
    target = "include/" + quoted if quoted in house.PUBLIC else quoted
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


def brought_along(headers):
    """Faults: insides of the library that a file reaches through the headers it includes."""
    faults = []
    for path in sorted(headers):
        allowed = BROUGHT_ALONG.get(path.split("/")[0])
        seen, todo = set(), [(path, ())] if allowed else []
        while todo:
            at, way = todo.pop()
            for target in headers.get(at, ()):
                if target in seen:
                    continue
                seen.add(target)
                if folder_of(target) not in allowed:
                    faults.append(f"{path} reaches {target} through {', '.join(way + (at,))}")
                else:
                    todo.append((target, way + (at,)))
    return faults


def circles_of(edges):
    """Sets of units that reach each other, each as a sorted tuple."""

    def reach(start, step):
        seen, todo = set(), [start]
        while todo:
            for unit in step.get(todo.pop(), ()):
                if unit not in seen:
                    seen.add(unit)
                    todo.append(unit)
        return seen

    back = {}
    for unit, targets in edges.items():
        for target in targets:
            back.setdefault(target, set()).add(unit)
    found = {tuple(sorted(reach(unit, edges) & reach(unit, back))) for unit in edges}
    return {circle for circle in found if len(circle) > 1}


def main():
    faults, checked, edges, headers = [], 0, {}, {}
    for path in house.files(".c", ".h", ".inc"):
        text = house.read(path)
        for match in INCLUDE.finditer(text):
            checked += 1
            if match.group(1):
                headers.setdefault(path, []).append(match.group(1))
            unit, target = (name.rsplit(".", 1)[0] for name in (path, match.group(1) or path))
            if path.split("/")[0] not in FREE and unit != target:
                edges.setdefault(unit, set()).add(target)
            fault = fault_of(path, match.group(1), match.group(2))
            if fault:
                line = text.count("\n", 0, match.start(1 if match.group(1) else 2)) + 1
                faults.append(f"{path}:{line}: {fault}")
    faults += brought_along(headers)
    faults += [f"a circle of includes: {', '.join(c)}" for c in sorted(circles_of(edges))]
    house.finish(checked, faults)


main()

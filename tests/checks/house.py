"""What the house checks share: the files of the tree, and how a check reports."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEFT_OUT = {".git", "build", "results", ".venv", "__pycache__", ".pytest_cache"}

# A folder includes only from itself and from those above it. Kernels for a CPU level and other
# subfolders count as their top folder.
ORDER = ["include", "tensor", "kernels", "ops", "graph", "engine", "loaders", "writers", "models",
         "media", "pipelines", "tools"]
PUBLIC = ["runmodel.h", "runmodel_export.h", "runmodel_networks.h"]  # in include/, and installed
LIBRARY = ORDER[1:11]  # never prints, exits or aborts


def files(*suffixes):
    """Paths below the root, sorted, of the files whose name ends so (all without suffixes)."""
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in names:
            if not suffixes or name.endswith(suffixes):
                found.append(os.path.relpath(os.path.join(folder, name), ROOT))
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def finish(checked, faults):
    """Prints every fault; a check that looked at nothing has failed too."""
    for fault in faults:
        print(fault)
    print(f"{checked} looked at, {len(faults)} faults")
    sys.exit(1 if faults or checked == 0 else 0)

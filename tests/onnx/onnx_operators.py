"""The operators that the ONNX importer knows, of its tables with macros expanded.

    python tests/onnx/onnx_operators.py                  what docs/onnx.md lists of other domains
    python tests/onnx/onnx_operators.py com.microsoft    and what ONNX Runtime has there besides
"""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOMAINS = ("ai.onnx.ml", "com.microsoft")


def known():
    """Names, with the domain and a dot in front where that is not ONNX's own."""
    sources = (ROOT / "loaders" / "onnx").glob("ops_*.c")
    command = [os.environ.get("CC", "cc"), "-E", "-P", "-I", ROOT, "-I", ROOT / "include", *sources]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r'\.op_type = "([\w.]+)"', text))


def of_domain(domain):
    return sorted(n.removeprefix(f"{domain}.") for n in known() if n.startswith(f"{domain}."))


def listed():
    """As docs/onnx.md has it."""
    texts = (textwrap.fill(f"{domain}: {' '.join(of_domain(domain))}", 100, initial_indent="    ",
                           subsequent_indent="        ") for domain in DOMAINS)  # fmt: skip
    return "\n".join(texts)


def refused(domain):
    """What ONNX Runtime has kernels for on the CPU and the importer does not know."""
    import onnxruntime.capi.onnxruntime_pybind11_state as state

    kernels = state.get_all_opkernel_def()
    theirs = {k.op_name for k in kernels if k.domain == domain and "CPU" in k.provider}
    return sorted(theirs - set(of_domain(domain)))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}, known: {' '.join(of_domain(name))}\n\nrefused: {' '.join(refused(name))}")
    if len(sys.argv) == 1:
        print(listed())

"""Documentation against the tree and the program: commands, links, files, the example, the
options.

usage: check_docs.py RUN_MODEL_PROGRAM
"""

import os
import re
import subprocess
import sys

import house

FENCE = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
OPTION = re.compile(r"--[a-z0-9][a-z0-9_-]*")
# Sources of ours, and not those of upstreams: these are in Python.
SOURCE = re.compile(r"`([a-z_0-9]+/[\w/]+\.(?:c|h|inc))`|`((?:bench|scripts|tests)/[\w/]+\.py)`")
TABLE_OPTION = re.compile(r"^\| `(--[a-z0-9][a-z0-9_-]*)", re.MULTILINE)
# Page to the subcommand whose options it lists.
PAGES = {"docs/lip-sync.md": "wav2lip", "docs/latent-lip-sync.md": "latent-wav2lip",
         "docs/sync.md": "sync", "docs/denoise.md": "ffdnet",
         "docs/classify.md": "mobilenetv2", "docs/sequences.md": "lstm",
         "docs/exec.md": "exec",
         "docs/info.md": "info", "docs/benchmarks.md": "bench",
         "docs/check.md": "check",
         "docs/compare.md": "compare", "docs/convert.md": "convert"}
EXAMPLE_PAGE, EXAMPLE = "docs/library.md", "examples/run_network.c"


def one_spelling(options):
    """Dashes and underscores are the same to the program."""
    return {option[2:].replace("_", "-") for option in options}


def readme_faults():
    fences = FENCE.findall(house.read("README.md"))
    if len(fences) < 2:
        return ["README.md: fewer than two fenced commands"]
    faults = []
    for text in fences[:2]:
        if text.count("\n") != 1 or not text.startswith("./run.sh "):
            faults.append(f"README.md: not one line that starts run.sh: {text!r}")
    if fences[1].strip() not in house.read(".ci/run"):
        faults.append(".ci/run does not call the README's second command")
    return faults


def link_faults(page):
    text = FENCE.sub("", house.read(page))
    for target in LINK.findall(text):
        path = os.path.join(house.ROOT, os.path.dirname(page), target)
        if "://" not in target and not os.path.exists(path):
            yield f"{page}: {target} is not there"


def source_faults(page):
    """Pages name sources from the root, or operators from ops/."""
    for target in filter(None, sum(SOURCE.findall(house.read(page)), ())):
        if not any(os.path.exists(os.path.join(house.ROOT, folder, target))
                   for folder in ("", "ops")):
            yield f"{page}: {target} is not there"


def option_faults(program, page, subcommand):
    done = subprocess.run([program, subcommand, "--help"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        return [f"run-model {subcommand} --help ends with {done.returncode}"]
    real = one_spelling(OPTION.findall(done.stdout))
    shown = one_spelling(TABLE_OPTION.findall(house.read(page)))
    faults = [f"{page}: --{name} is in --help and not in the table" for name in
              sorted(real - shown)]
    return faults + [f"{page}: --{name} is in the table and not in --help" for name in
                     sorted(shown - real)]


def main():
    program, pages = sys.argv[1], house.files(".md")
    faults = readme_faults()
    for page in pages:
        faults += link_faults(page)
        if not page.startswith("bench/"):  # whose log tells what was
            faults += source_faults(page)
    for page, subcommand in PAGES.items():
        faults += option_faults(program, page, subcommand)
    if house.read(EXAMPLE) not in house.read(EXAMPLE_PAGE):
        faults.append(f"{EXAMPLE_PAGE}: does not show {EXAMPLE} as it is")
    house.finish(len(pages), faults)


main()

"""The table of ONNX's signatures, as onnx.defs tells them: loaders/check/onnx_signatures.inc.

Run it to print the rows of the file anew, which clang-format breaks; test_onnx_check.py compares
them.
"""

import collections
import re
import textwrap

from onnx import defs

LETTERS = {"float": "f", "float16": "h", "bfloat16": "w", "double": "d", "int8": "b", "uint8": "B",
           "int16": "s", "uint16": "S", "int32": "i", "uint32": "I", "int64": "l", "uint64": "L",
           "bool": "o"}
ALIASES = {"".join(sorted(LETTERS.values())): "*",
           "".join(sorted(set(LETTERS.values()) - {"o"})): "#"}
ATTRIBUTES = {"FLOAT": "f", "INT": "i", "STRING": "s", "TENSOR": "t", "GRAPH": "g",
              "TYPE_PROTO": "p", "SPARSE_TENSOR": "x", "FLOATS": "F", "INTS": "I", "STRINGS": "S",
              "TENSORS": "T", "GRAPHS": "G"}
DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training")


def types_of(texts):
    matches = [re.fullmatch(r"(?:optional\()?tensor\((\w+)\)\)?", text) for text in texts]
    found = {match[1] for match in matches if match}
    letters = "".join(sorted(LETTERS[name] for name in found if name in LETTERS))
    return ALIASES.get(letters, letters)


def parts_of(schema):
    """Inputs and outputs, types of the letters in them, attributes."""
    if schema.deprecated:
        return ("x", "", "")
    allowed = {t.type_param_str: t.allowed_type_strs for t in schema.type_constraints}
    numbers = {}

    def formal(one, minimum_is_none):
        number = numbers.setdefault(one.type_str, len(numbers))
        option = one.option.name
        mark = {"Single": "", "Optional": "?", "Variadic": "~" if minimum_is_none else "*"}[option]
        return f"{number:x}{mark}" + ("" if one.is_homogeneous else "!")

    sides = []
    for formals, least, most in ((schema.inputs, schema.min_input, schema.max_input),
                                 (schema.outputs, schema.min_output, schema.max_output)):
        side = [formal(f, least < len(formals)) for f in formals]
        counted = max((i + (text[1:2] != "~") for i, text in enumerate(side) if "?" not in text),
                      default=0)
        assert counted == least, (schema.name, side, least)
        assert most == len(side) or formals[-1].option.name == "Variadic", schema.name
        sides.append(" ".join(side))
    types = " ".join(f"{number:x}={types_of(allowed.get(name, [name]))}"
                     for name, number in numbers.items())
    assert len(numbers) <= 16
    attributes = " ".join(
        f"{name}:{ATTRIBUTES[a.type.name]}" + ("!" if a.required else "")
        for name, a in sorted(schema.attributes.items()))
    return (">".join(sides), types, attributes)


def rows():
    """(name with its domain, text): the history of each operator."""
    known = collections.defaultdict(list)
    for schema in defs.get_all_schemas_with_history():
        if schema.domain in DOMAINS:
            known[schema.domain, schema.name].append(schema)
    for (domain, name), schemas in sorted(known.items()):
        before, versions = (None, None, None), []
        for schema in sorted(schemas, key=lambda s: s.since_version):
            parts = parts_of(schema)
            if parts != before:
                told = ["=" if p == old else p for p, old in zip(parts, before)]
                versions.append(f"{schema.since_version};" + ";".join(told))
            before = parts
        yield (domain + "." if domain else "") + name, " | ".join(versions)


if __name__ == "__main__":
    for row_name, row_text in rows():
        lines = textwrap.wrap(f'ROW("{row_name}", "{row_text}")', 93)
        print(" \"\n    \"".join(lines))

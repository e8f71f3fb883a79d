"""A picture of how many times as long other runtimes take, as SVG."""

import math
from xml.sax.saxutils import escape

COLOURS = {"onnxruntime": "#4477aa", "openvino": "#ee6677", "ncnn": "#228833", "pytorch": "#ccbb44"}
LABELS, WIDTH, BAR, GAP = 230, 760, 13, 16
LEAST, MOST = 0.5, 8.0  # ends of the axis, which is logarithmic


def place(ratio):
    span = math.log(MOST / LEAST)
    return LABELS + (WIDTH - LABELS - 60) * math.log(min(max(ratio, LEAST), MOST) / LEAST) / span


def text(x, y, words, anchor="start", size=12, colour="#222"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="{colour}">{escape(words)}</text>'
    )


def box(x, y, width, height, colour):
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{height}" fill="{colour}"/>'


def draw(rows, ours):
    """`rows`: (label, {runtime: median ms}). Bars start at 1, the time of run-model."""
    parts, y = [], 56
    for label, medians in rows:
        others = [name for name in COLOURS if name in medians]
        parts.append(text(LABELS - 10, y + BAR * len(others) / 2 + 4, label, "end"))
        for name in others:
            ratio = medians[name] / medians[ours]
            left, right = sorted((place(1), place(ratio)))
            parts.append(box(left, y, max(right - left, 0.5), BAR - 2, COLOURS[name]))
            parts.append(text(right + 5, y + BAR - 3, f"{ratio:.2f}", size=11))
            y += BAR
        y += GAP
    axis = []
    for tick in (0.5, 1, 2, 4, 8):
        x = place(tick)
        width = 2 if tick == 1 else 0.5
        axis.append(f'<path d="M{x:.1f} 44V{y}" stroke="#888" stroke-width="{width}"/>')
        axis.append(text(x, 40, f"{tick}x", "middle", 11, "#555"))
    title = "Time of other runtimes, run-model = 1 (right of the line: slower)"
    key = [text(10, 18, title, size=14)]
    for i, (name, colour) in enumerate(COLOURS.items()):
        key += [box(10 + i * 110, y + 4, 11, 11, colour), text(26 + i * 110, y + 14, name)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 26}" '
        'font-family="sans-serif"><rect width="100%" height="100%" fill="#fff"/>'
    )
    return "\n".join([head, *axis, *parts, *key, "</svg>"]) + "\n"

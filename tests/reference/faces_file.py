"""Files of faces as `--faces` reads them, which give the program the places of the faces."""

import json


def clip_id(path):
    """The program's name for a small clip (pipelines/faces/faces_file.c): FNV-1a of its bytes."""
    with open(path, "rb") as file:
        data = file.read()
    assert len(data) <= 64 * 65536, f"{path}: {len(data)} bytes, more than are hashed whole"
    value = 0xCBF29CE484222325 ^ len(data)
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def write_boxes(path, clip, boxes, size, fps, marks=None):
    """`boxes`: x1 y1 x2 y2 of each frame, None where there is no face; `size`: width, height;
    `marks`: five places (x, y) of each frame."""
    key = {"id": clip_id(clip), "width": size[0], "height": size[1], "resize_factor": 1,
           "rotate": False, "crop": [0, -1, 0, -1]}
    rows = [{"frame": i, "time": i / fps, "box": None if box is None else [int(x) for x in box],
             "score": 0 if box is None else 1, "source": "none" if box is None else "detected"}
            for i, box in enumerate(boxes)]
    for row, places in zip(rows, marks if marks is not None else []):
        if row["box"] is not None:
            row["marks"] = [float(v) for place in places for v in place]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"format": "run-model faces 1", "clip": key, "faces": rows}, file)
    return path

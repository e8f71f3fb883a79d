"""Faces that are tilted: where their boxes and marks are, and pictures that are turned."""

import cv2
import numpy as np

# Shares of the box of an upright face: eyes, tip of the nose, ends of the mouth.
MARKS = np.array([[0.3, 0.37], [0.7, 0.37], [0.5, 0.55], [0.35, 0.71], [0.65, 0.71]])


def marks_of(box):
    x1, y1, x2, y2 = box
    return np.array([x1, y1]) + MARKS * [x2 - x1, y2 - y1]


def matrix(degrees, centre):
    """Turns clockwise, about `centre`, in pixels as they are counted by edges."""
    a = np.radians(degrees)
    turn = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    return np.column_stack([turn, np.array(centre) - turn @ centre])


def turn_points(m, points):
    return np.asarray(points) @ m[:, :2].T + m[:, 2]


def turn_picture(m, picture):
    """OpenCV counts from the middle of the first pixel."""
    shifted = m.copy()
    shifted[:, 2] += m[:, :2] @ [0.5, 0.5] - 0.5
    return cv2.warpAffine(picture, shifted, picture.shape[1::-1], flags=cv2.INTER_LANCZOS4,
                          borderMode=cv2.BORDER_REPLICATE)


def turn_box(m, box):
    """The bounds of the ellipse in `box`, once it is turned."""
    x1, y1, x2, y2 = box
    (cosine, _), (sine, _) = m[:, :2]
    centre = turn_points(m, [(x1 + x2) / 2, (y1 + y2) / 2])
    a, b = (x2 - x1) / 2, (y2 - y1) / 2
    half = np.array([np.hypot(a * cosine, b * sine), np.hypot(a * sine, b * cosine)])
    return np.concatenate([centre - half, centre + half]).round()

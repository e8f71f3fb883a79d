"""Procedural talking heads: shaded, varied, and belonging to nobody.

A head is an ellipsoid that turns. Everything on it (eyes, nose, lips, hair) is painted at points
of the unit sphere, so that it foreshortens with yaw and pitch; what stands out (nose, lips, brows)
bends the normals and shifts with the turn. Colours are mixed as if light were linear in them.

Coordinates on the head: x to the right of the picture, y down, the head's half width and half
height being 1; the chin lies at y = 1, the hairline about y = -0.55, the mouth about y = 0.54.
"""

import math

import numpy as np

OVERSAMPLING = 2
FACE_TOP, FACE_SIDE = -0.6, np.deg2rad(75)  # where the face's box ends on the sphere
BOX_HEIGHT = 1.6  # of the box, in half heights of the head

SKINS = np.array([[0.97, 0.82, 0.73], [0.93, 0.73, 0.60], [0.87, 0.64, 0.51], [0.76, 0.53, 0.39],
                  [0.60, 0.40, 0.28], [0.45, 0.29, 0.20], [0.31, 0.20, 0.14]])
HAIRS = np.array([[0.05, 0.04, 0.04], [0.13, 0.08, 0.06], [0.26, 0.15, 0.09], [0.45, 0.28, 0.14],
                  [0.72, 0.55, 0.30], [0.50, 0.20, 0.08], [0.55, 0.54, 0.53], [0.82, 0.81, 0.80]])
IRISES = np.array([[0.20, 0.12, 0.07], [0.34, 0.22, 0.12], [0.24, 0.42, 0.40], [0.30, 0.45, 0.62],
                   [0.38, 0.42, 0.30]])


def rgb(*colour):
    return np.array(colour, np.float32)


def smooth(low, high, x):
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(below, colour, cover):
    return below + (colour - below) * cover[..., None]


def ellipse(x, y, cx, cy, rx, ry, soft=0.1):
    """1 inside, 0 outside, with an edge `soft` wide in units of the radius."""
    r = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)
    return 1 - smooth(1 - soft, 1 + soft, r)


def extent(cover):
    """The rectangle that holds every pixel with some cover: the rest need not be computed."""
    rows, columns = np.flatnonzero(cover.any(1)), np.flatnonzero(cover.any(0))
    if len(rows) == 0:
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def near(x, y, rx, ry):
    return extent((np.abs(x) < rx) & (np.abs(y) < ry))


def between(rng, low, high):
    return float(rng.uniform(low, high))


def dome(x, y):
    """The normal of a unit ball seen from the front, flat beyond its edge."""
    return x, y, np.sqrt(np.clip(1 - x * x - y * y, 0, 1))


def toward(normal, direction):
    x, y, z = (float(part) for part in direction)
    return normal[0] * x + normal[1] * y + normal[2] * z


class Light:
    """One sun, one sky, one rim."""

    def __init__(self, rng):
        direction = np.array([between(rng, -0.9, 0.9), between(rng, -0.9, 0.15), 0.75])
        self.to = (direction / np.linalg.norm(direction)).astype(np.float32)
        half = self.to + rgb(0, 0, 1)
        self.half = half / np.linalg.norm(half)
        self.ambient = between(rng, 0.30, 0.62)
        self.strength = between(rng, 1.0, 1.14) - self.ambient
        warmth = between(rng, -0.08, 0.08)
        self.tint = np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
        self.rim_side = 1 if rng.random() < 0.5 else -1
        self.rim = rng.uniform(0.1, 0.5) * rng.uniform(0.4, 1.0, 3).astype(np.float32)

    def on(self, colour, normal, shine=0.0):
        """`normal` is a tuple of three arrays: x, y, z."""
        diffuse = np.clip(toward(normal, self.to), 0, 1)[..., None]
        lit = colour * (self.ambient + diffuse * (self.strength * self.tint))
        edge = np.clip(1 - normal[2], 0, 1)
        edge = edge * edge * edge * np.clip(self.rim_side * normal[0], 0, 1)
        lit += edge[..., None] * self.rim
        if shine:
            spot = np.clip(toward(normal, self.half), 0, 1)
            lit += (shine * spot ** 30)[..., None]
        return lit


class Head:
    """One identity under one light. Draw it as often as needed, in any pose."""

    def __init__(self, rng):
        tone = between(rng, 0, len(SKINS) - 1.001)
        k = int(tone)
        self.skin = SKINS[k] + (SKINS[k + 1] - SKINS[k]) * (tone - k)
        self.skin = self.skin * rng.uniform(0.95, 1.05, 3)
        dark = tone / (len(SKINS) - 1)
        # Dark skin comes with dark hair, unless it is gray.
        self.hair = HAIRS[rng.integers(0, 3 if rng.random() < 0.8 * dark else len(HAIRS))]
        self.hair = self.hair * rng.uniform(0.8, 1.2)
        self.light = Light(rng)
        self.aspect = between(rng, 0.70, 0.84)
        self.chin = between(rng, 0.06, 0.24)
        self.shape(rng)
        red = between(rng, 0.25, 0.75)
        self.lips = self.skin * (1 - red) + red * rgb(0.74, 0.27, 0.28) * (1 - 0.45 * dark)
        self.dress(rng)
        for name in ("skin", "hair", "lips", "iris", "frame", "shirt"):
            setattr(self, name, np.asarray(getattr(self, name), np.float32))

    def shape(self, rng):
        self.eye_x, self.eye_y = between(rng, 0.33, 0.41), between(rng, -0.15, -0.05)
        self.eye_w, self.eye_h = between(rng, 0.13, 0.17), between(rng, 0.055, 0.085)
        self.iris = IRISES[rng.integers(len(IRISES))] * rng.uniform(0.8, 1.2)
        self.brow_w, self.brow_up = between(rng, 0.018, 0.042), between(rng, 0.17, 0.23)
        self.brow_tilt = between(rng, -0.15, 0.2)
        self.nose_w, self.nose_y = between(rng, 0.8, 1.35), between(rng, 0.18, 0.25)
        self.nose_h = between(rng, 0.6, 1.1)
        self.mouth_w, self.mouth_y = between(rng, 0.25, 0.34), between(rng, 0.51, 0.58)
        self.lip_top, self.lip_low = between(rng, 0.038, 0.062), between(rng, 0.05, 0.085)
        self.smile = between(rng, 0.0, 0.5)
        self.cheek = between(rng, 0.0, 0.4)
        self.fold = between(rng, 0.0, 0.3)  # lines from nose to mouth

    def dress(self, rng):
        self.hairline = between(rng, -0.66, -0.44)
        self.parting, self.wave = between(rng, -0.5, 0.5), between(rng, 0, 0.14)
        self.style = rng.choice(["bald", "short", "short", "long", "long", "tall"])
        self.hair_out = {"bald": 0.0, "short": 0.08, "long": 0.16, "tall": 0.2}[self.style]
        self.strands = between(rng, 25, 70)
        beard = rng.random()
        self.stubble = between(rng, 0.1, 0.35) if beard < 0.2 else 0.0
        self.beard = between(rng, 0.5, 0.9) if 0.2 < beard < 0.3 else 0.0
        self.moustache = between(rng, 0.5, 0.9) if 0.25 < beard < 0.36 else 0.0
        self.glasses = rng.random() < 0.15
        self.frame = rng.uniform(0.05, 0.4, 3)
        self.shirt = rng.uniform(0.08, 0.85, 3)
        self.grain_seed = int(rng.integers(1 << 30))
        self.grain = between(rng, 0.0, 0.035)
        self.waves = rng.uniform(3, 18, (6, 2)) * rng.choice([-1, 1], (6, 2))
        self.phases = rng.uniform(0, 2 * np.pi, 6)

    # --- drawing -------------------------------------------------------------------------------

    def draw(self, canvas, x, y, height, yaw=0.0, pitch=0.0, roll=0.0, mouth=(0.0, 0.0), blink=0.0,
             gaze=(0.0, 0.0)):
        """Draws into `canvas` (float32 RGB, height x width x 3, about 0..1) and returns the box of
        the face (x1, y1, x2, y2) in pixels.

        `x`, `y` is the centre of the face's box when nothing turns, `height` its height in pixels.
        `mouth` is (open 0..1, spread -1..1). The box does not follow the jaw: who crops by it must
        not learn from it how far the mouth is open.
        """
        ry = height / BOX_HEIGHT
        rx = ry * self.aspect
        cx, cy = x, y - (1 + FACE_TOP) / 2 * ry
        reach = 3.4 * rx
        left, right = int(max(0, cx - reach)), int(min(canvas.shape[1], cx + reach + 1))
        top, bottom = int(max(0, cy - 1.45 * ry)), canvas.shape[0]
        if left < right and top < bottom:
            # Python's own floats do not widen float32 arrays; numpy's float64 scalars do.
            yaw, pitch, roll, rx, ry = float(yaw), float(pitch), float(roll), float(rx), float(ry)
            mouth = (float(mouth[0]), float(mouth[1]))
            s = OVERSAMPLING
            u = ((np.arange((right - left) * s) + 0.5) / s + left - cx).astype(np.float32)
            v = ((np.arange((bottom - top) * s) + 0.5) / s + top - cy).astype(np.float32)
            u, v = np.meshgrid(u, v)
            image = canvas[top:bottom, left:right].repeat(s, 0).repeat(s, 1)
            image = self.paint(image, u, v, rx, ry, yaw, pitch, roll, mouth, blink, gaze)
            image = image.reshape(bottom - top, s, right - left, s, 3).mean((1, 3))
            canvas[top:bottom, left:right] = image
        return self.box(cx, cy, rx, ry, yaw, pitch, roll)

    def box(self, cx, cy, rx, ry, yaw, pitch, roll):
        quarter = np.pi / 2
        x1 = np.sin(max(-FACE_SIDE + yaw, -quarter))
        x2 = np.sin(min(FACE_SIDE + yaw, quarter))
        y1, y2 = np.sin(np.arcsin(FACE_TOP) + pitch), 1.0
        u, v = (x1 + x2) / 2 * rx, (y1 + y2) / 2 * ry
        w, h = (x2 - x1) / 2 * rx, (y2 - y1) / 2 * ry
        c, s = math.cos(roll), math.sin(roll)
        mx, my = cx + u * c - v * s, cy + u * s + v * c
        w, h = np.hypot(w * c, h * s), np.hypot(w * s, h * c)
        return np.array([mx - w, my - h, mx + w, my + h], np.float32)

    def paint(self, image, u, v, rx, ry, yaw, pitch, roll, mouth, blink, gaze):
        below = slice(int(np.searchsorted(v[:, 0], 0.5 * ry)), None)
        image[below] = self.paint_body(image[below], u[below] / rx, v[below] / ry, yaw)
        c, s = math.cos(roll), math.sin(roll)
        a, b = (u * c + v * s) / rx, (v * c - u * s) / ry
        if self.style == "long":
            at = near(a, b, 1.4, 1.4)
            image[at] = self.paint_back_hair(image[at], a[at], b[at])
        image = self.paint_ears(image, a, b, yaw)
        # The jaw drops: what is below the mouth is looked up higher on the head.
        b_jaw = b - 0.085 * mouth[0] * smooth(0.45, 1.0, b)
        nx = a / (1 - self.chin * smooth(-0.1, 1.0, b_jaw) ** 1.4)
        ny = b_jaw
        inside = 1 - smooth(0.985, 1.012, np.sqrt(nx * nx + ny * ny))
        part = extent(inside)
        face = self.paint_face(nx[part], ny[part], rx, ry, yaw, pitch, mouth, blink, gaze)
        image[part] = mix(image[part], face, inside[part])
        if self.style != "bald":
            at = near(a, b, 1.2, 1.3)
            image[at] = self.paint_hair(image[at], a[at], b[at], yaw, pitch)
        return image

    def paint_body(self, image, a, b, yaw):
        sway = 0.15 * math.sin(yaw)
        side = np.clip((a - sway) / 0.52, -1, 1)
        neck = (1 - smooth(0.95, 1.0, np.abs(a - sway) / 0.50)) * smooth(0.5, 0.7, b)
        normal = dome(side, 0 * side)
        shadow = (0.62 + 0.38 * smooth(1.0, 1.6, b))[..., None]  # the chin's, on the neck
        image = mix(image, self.light.on(self.skin * 0.86, normal) * shadow, neck)
        dx, dy = (a - 0.5 * sway) / 2.5, (b - 2.35) / 0.98
        inside = 1 - smooth(0.985, 1.015, np.sqrt(dx * dx + dy * dy))
        collar = ellipse(a - sway, b, 0, 1.42, 0.62, 0.22, 0.06)
        inside = np.maximum(inside, (np.abs(dx) < 0.995) * (b > 2.35))
        shirt = self.light.on(self.shirt, dome(dx, np.clip(dy, -1, 0)))
        return mix(image, shirt, inside * (1 - collar * (b < 1.5)))

    def paint_ears(self, image, a, b, yaw):
        for side in (-1, 1):
            dx = (a - side * math.cos(yaw) * 0.99 + 0.3 * math.sin(yaw)) / 0.17
            dy = (b - 0.03) / 0.23
            ear = 1 - smooth(0.93, 1.07, np.sqrt(dx * dx + dy * dy))
            if ear.any():
                at = extent(ear)
                shaded = self.light.on(self.skin * 0.9, dome(dx[at], dy[at]))
                image[at] = mix(image[at], shaded, ear[at])
        return image

    def paint_back_hair(self, image, a, b):
        out = 1 + self.hair_out
        width = out * (1 + 0.12 * smooth(0.2, 1.2, b))
        cover = 1 - smooth(0.97, 1.0, np.where(b < 0, np.hypot(a / out, b / out),
                                               np.abs(a) / width))
        cover = cover * (1 - smooth(1.15, 1.3, b))
        strands = 0.8 + 0.2 * np.sin(self.strands * a + 3 * b)
        normal = dome(np.clip(a / width, -1, 1), 0 * a)
        return mix(image, self.light.on(self.hair * 0.7 * strands[..., None], normal), cover)

    def paint_face(self, nx, ny, rx, ry, yaw, pitch, mouth, blink, gaze):
        nz = np.sqrt(np.clip(1 - nx * nx - ny * ny, 0, 1))
        px = nx * math.cos(yaw) - nz * math.sin(yaw)
        pz = nx * math.sin(yaw) + nz * math.cos(yaw)
        py = ny * math.cos(pitch) - pz * math.sin(pitch)
        pz = ny * math.sin(pitch) + pz * math.cos(pitch)
        # What stands out moves further than what lies flat when the head turns.
        nose = self.nose(px, py)
        px, py = px - 0.16 * math.sin(yaw) * nose, py - 0.12 * math.sin(pitch) * nose
        height = 0.75 * self.nose(px, py) + self.lip_relief(px, py, mouth)
        for side in (-1, 1):
            ball = ((px - side * self.eye_x) / 0.2) ** 2 + ((py - self.eye_y) / 0.13) ** 2
            height = height - 0.16 * np.exp(-ball)
        if min(height.shape) < 2:
            return np.zeros((*height.shape, 3), np.float32)
        dy, dx = np.gradient(height)
        bent = (nx - 0.13 * OVERSAMPLING * rx * dx, ny - 0.13 * OVERSAMPLING * ry * dy, nz + 0.05)
        length = np.sqrt(bent[0] ** 2 + bent[1] ** 2 + bent[2] ** 2)
        normal = tuple(part / length for part in bent)
        colour = self.paint_skin(px, py)
        for side in (-1, 1):
            at = near(px - side * self.eye_x, py - self.eye_y, 0.3, 0.36)
            colour[at] = self.paint_eye(colour[at], px[at], py[at], side, blink, gaze)
        colour = self.paint_beard(colour, px, py, mouth)
        at = near(px, py - self.mouth_y, 0.5, 0.4)
        colour[at] = self.paint_mouth(colour[at], px[at], py[at], mouth)
        if self.glasses:
            colour = self.paint_glasses(colour, px, py)
        front = smooth(-0.05, 0.15, pz)
        colour = mix(np.broadcast_to(self.skin, colour.shape), colour, front)
        return self.light.on(colour, normal, shine=0.08)

    def nose(self, x, y):
        w = self.nose_w
        bump = np.exp(-((x / (0.08 * w)) ** 2) - ((y - self.nose_y + 0.11) / 0.19) ** 2)
        bump += 0.9 * np.exp(-((x / (0.11 * w)) ** 2) - ((y - self.nose_y) / 0.085) ** 2)
        wing = ((np.abs(x) - 0.1 * w) / 0.05) ** 2 + ((y - self.nose_y - 0.02) / 0.05) ** 2
        return self.nose_h * (bump + 0.45 * np.exp(-wing))

    def paint_skin(self, x, y):
        colour = np.broadcast_to(self.skin, (*x.shape, 3)).astype(np.float32)
        if self.grain:
            blotches = sum(np.sin(w[0] * x + w[1] * y + p)
                           for w, p in zip(self.waves, self.phases))
            colour = colour * (1 + self.grain * blotches[..., None])
        for side in (-1, 1):
            cheek = ellipse(x, y, side * 0.47, 0.27, 0.26, 0.20, 0.9)
            colour = mix(colour, self.skin * rgb(1.0, 0.72, 0.72), self.cheek * cheek)
            nostril = ellipse(x, y, side * 0.062 * self.nose_w, self.nose_y + 0.075,
                              0.032, 0.018, 0.5)
            colour = mix(colour, self.skin * 0.32, 0.8 * nostril)
            line = np.abs(x - side * (0.17 + 0.35 * (y - self.nose_y)))
            along = smooth(self.nose_y, self.nose_y + 0.08, y) * (1 - smooth(0.5, 0.6, y))
            colour = mix(colour, self.skin * 0.66, self.fold * along * np.exp(-(line / 0.03) ** 2))
        # The nose's shadow falls away from the light.
        light = self.light.to.tolist()
        sx, sy = -0.10 * light[0], self.nose_y + 0.13 - 0.05 * light[1]
        shade = ellipse(x, y, sx, sy, 0.11 * self.nose_w, 0.06, 0.8)
        colour = mix(colour, self.skin * 0.70, 0.45 * shade)
        crease = ellipse(x, y, 0, self.mouth_y + 0.19, 0.19, 0.04, 0.9)
        return mix(colour, self.skin * 0.70, 0.35 * crease)

    def paint_eye(self, colour, x, y, side, blink, gaze):
        x, y = x - side * self.eye_x, y - self.eye_y
        w, opening = self.eye_w, self.eye_h * (1 - blink) + 0.004
        socket = ellipse(x, y, 0, -0.01, 1.4 * w, 0.15, 0.5)
        colour = mix(colour, self.skin * 0.72, 0.4 * socket)
        white = ellipse(x, y, 0, 0, w, opening, 0.08)
        colour = mix(colour, rgb(0.95, 0.94, 0.92), white)
        gx, gy = gaze
        ball = 0.48 * w
        colour = mix(colour, self.iris, ellipse(x, y, gx, gy, ball, 0.86 * ball, 0.1) * white)
        pupil = ellipse(x, y, gx, gy, 0.23 * w, 0.20 * w)
        colour = mix(colour, rgb(0.04, 0.04, 0.05), pupil * white)
        gx += math.copysign(0.025, self.light.to[0])
        glint = ellipse(x, y, gx, gy - 0.024, 0.018, 0.016, 0.3)
        colour = mix(colour, rgb(1, 1, 1), glint * white)
        lid = ellipse(x, y, 0, -0.006, 1.1 * w, opening + 0.022, 0.1) * (1 - white) * (y < 0.012)
        colour = mix(colour, self.hair * 0.5 + self.skin * 0.15, lid)
        arch = y + self.brow_up - self.brow_tilt * side * x - 1.0 * (x - 0.03 * side) ** 2
        brow = 1 - smooth(0.5 * self.brow_w, 1.4 * self.brow_w, np.abs(arch))
        brow = brow * (1 - smooth(0.17, 0.21, np.abs(x)))
        return mix(colour, 0.8 * self.hair + 0.1 * self.skin, 0.85 * brow)

    def paint_beard(self, colour, x, y, mouth):
        amount = max(self.beard, self.stubble)
        if amount:
            y_low = y - 0.06 * mouth[0]
            jaw = smooth(0.30, 0.62, y_low + 0.45 * np.abs(x)) * smooth(0.15, 0.3, y)
            bare = ellipse(x, y, 0, self.nose_y + 0.1, 0.34, 0.20, 0.4)
            hair = 0.85 + 0.15 * np.sin(90 * x + 40 * y) * np.sin(70 * y - 30 * x)
            colour = mix(colour, self.hair * hair[..., None] + 0.06 * self.skin,
                         amount * jaw * (1 - bare))
        if self.moustache:
            line = self.mouth_y - self.lip_top - 0.045 + 0.5 * x * x - 0.02 * mouth[0]
            over = np.exp(-(((y - line) / 0.035) ** 2)) * (1 - smooth(0.2, 0.3, np.abs(x)))
            colour = mix(colour, self.hair, self.moustache * over)
        return colour

    def paint_glasses(self, colour, x, y):
        for side in (-1, 1):
            r = np.sqrt(((x - side * self.eye_x) / 0.235) ** 2 + ((y - self.eye_y) / 0.17) ** 2)
            colour = mix(colour, self.frame, np.exp(-(((r - 1) / 0.09) ** 2)))
        bridge = np.exp(-(((y - self.eye_y + 0.03) / 0.016) ** 2))
        middle = np.abs(x) < self.eye_x - 0.22
        arms = (np.abs(x) > self.eye_x + 0.23)
        return mix(colour, self.frame, bridge * (middle | arms))

    # --- the mouth -----------------------------------------------------------------------------

    def mouth_shape(self, x, y, mouth):
        """Coordinates and edges all parts of the mouth share: x, y about its centre with the
        corners lifted; the half width; and the upper and lower edge of the gap at each x."""
        opening, spread = mouth
        width = self.mouth_w * (1 + (0.16 if spread > 0 else 0.36) * spread) * (1 - 0.10 * opening)
        y = y - self.mouth_y + self.smile * x * x * (1 + 0.6 * max(spread, 0))
        taper = np.sqrt(np.clip(1 - (x / (0.9 * width)) ** 2, 0, 1))
        top = -0.045 * opening * taper
        low = 0.165 * opening * taper
        return x, y, width, taper, top, low

    def lip_relief(self, x, y, mouth):
        x, y, width, _, top, low = self.mouth_shape(x, y, mouth)
        along = np.exp(-((x / (0.85 * width)) ** 4))
        round_lips = 1 + 0.5 * max(-mouth[1], 0)
        upper = np.exp(-(((y - top + 0.5 * self.lip_top) / self.lip_top) ** 2))
        lower = np.exp(-(((y - low - 0.5 * self.lip_low) / self.lip_low) ** 2))
        return 0.20 * round_lips * along * (upper + lower)

    def paint_mouth(self, colour, x, y, mouth):
        opening, spread = mouth
        x, y, width, taper, top, low = self.mouth_shape(x, y, mouth)
        full = np.sqrt(np.clip(1 - (x / width) ** 2, 0, 1))
        thick = 1 + 0.25 * max(-spread, 0) - 0.15 * max(spread, 0) - 0.15 * opening
        bow = 1 - 0.3 * np.exp(-((x / 0.045) ** 2))  # cupid's bow
        edge = 0.012
        upper_top = top - self.lip_top * thick * full * bow
        upper = smooth(-edge, edge, y - upper_top) * (1 - smooth(-edge, edge, y - top)) * (full > 0)
        lower_low = low + self.lip_low * thick * full ** 0.8
        lower = smooth(-edge, edge, y - low) * (1 - smooth(-edge, edge, y - lower_low)) * (full > 0)
        colour = mix(colour, self.lips * 0.84, upper)
        colour = mix(colour, self.lips * 1.05, lower)
        gloss = np.exp(-(((y - low - 0.45 * self.lip_low) / 0.02) ** 2) - (x / (0.5 * width)) ** 2)
        colour = mix(colour, rgb(1.0, 0.9, 0.88), 0.16 * gloss)
        # Closed lips still show a dark line where they meet.
        seam = np.exp(-(((y - (top + low) / 2) / 0.011) ** 2)) * (full > 0.25)
        colour = mix(colour, self.lips * 0.35, 0.85 * seam * (1 - smooth(0.02, 0.10, opening)))
        if opening <= 0.02:
            return colour
        gap = smooth(-edge, edge, y - top) * (1 - smooth(-edge, edge, y - low)) * (taper > 0)
        gap = gap * smooth(0.02, 0.08, opening)
        inner = rgb(0.20, 0.05, 0.06)
        inside = np.broadcast_to(inner, colour.shape)
        depth = (y - top) / np.maximum(low - top, 1e-3)
        tongue = ellipse(x, depth, 0, 1.05, 0.62 * width, 0.5, 0.3)
        inside = mix(inside, rgb(0.62, 0.28, 0.29), 0.8 * tongue * smooth(0.25, 0.6, opening))
        shown = 0.035 + 0.015 * max(spread, 0)
        teeth = (1 - smooth(shown - 0.012, shown + 0.006, y - top)) * (np.abs(x) < 0.72 * width)
        inside = mix(inside, rgb(0.93, 0.91, 0.87) * (0.8 + 0.2 * taper[..., None]),
                     teeth * (1 - 0.6 * max(-spread, 0)))
        return mix(colour, inside, gap)

    # --- hair ----------------------------------------------------------------------------------

    def paint_hair(self, image, a, b, yaw, pitch):
        """A cap a little larger than the skull, cut off along the forehead and the temples."""
        out = 1 + 0.5 * self.hair_out
        up = 1 + (1.2 if self.style == "tall" else 0.7) * self.hair_out
        hx, hy = a / out, np.where(b < 0, b / up, b / out)
        r2 = hx * hx + hy * hy
        cap = 1 - smooth(0.98, 1.01, np.sqrt(r2))
        # Forward on the skull the line follows the head's turn.
        z = np.sqrt(np.clip(1 - r2, 0, 1))
        px = hx * math.cos(yaw) - z * math.sin(yaw)
        py = hy * math.cos(pitch) - z * math.sin(pitch)
        temples = np.clip(np.abs(px) - 0.55, 0, 1) ** 1.2
        line = self.hairline + self.wave * np.sin(3.0 * px + 6 * self.parting) + 3.0 * temples
        low = 0.9 if self.style == "long" else 0.05
        # Beside the skull there is no forehead for the line to cut.
        beside = smooth(0.97, 1.0, a * a + b * b)
        hair = cap * (1 - smooth(-0.02, 0.02, py - line) * (1 - beside))
        hair = hair * (1 - smooth(low, low + 0.1, b))
        strands = 0.82 + 0.18 * np.sin(self.strands * np.arctan2(px - self.parting, 0.25 - py)
                                       + 6 * py)
        return mix(image, self.light.on(self.hair * strands[..., None], dome(hx, hy), 0.15), hair)

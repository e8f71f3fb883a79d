"""Magnitude against which the error of Winograd F(4x4, 3x3) is bounded.

y = A^T [ sum over channels of (G g G^T) * (B^T d B) ] A. Every intermediate is a sum whose
rounding errors are at most the number of its roundings times U times the sum of magnitudes, so the
same formula with absolute values everywhere, times U times all roundings on the way, bounds the
result: 1 for the weight (made in double), 4 for each of two input transforms, 6 for each of two
output transforms, and one for every product and addition over channels. The points are those of
kernels/winograd.h.
"""

import torch

A, B = 0.625, 1.5
POINTS = [0.0, A, -A, B, -B]  # and infinity


def vector(elements):
    return torch.tensor(elements, dtype=torch.float64)


def matrices():
    weight, data, out = (
        torch.zeros(*shape, dtype=torch.float64) for shape in ((6, 3), (6, 6), (4, 6))
    )
    for i, p in enumerate(POINTS):
        others = [q for q in POINTS if q != p]
        value, poly = 1.0, [1.0]  # poly: product of (x - q), lowest power first
        for q in others:
            value *= p - q
            poly = [
                (poly[k - 1] if k else 0.0) - q * (poly[k] if k < len(poly) else 0.0)
                for k in range(len(poly) + 1)
            ]
        weight[i] = vector([1.0, p, p * p]) / value
        data[i, : len(poly)] = vector(poly)
        out[:, i] = vector([p**k for k in range(4)])
    poly = [1.0]
    for q in POINTS:
        poly = [
            (poly[k - 1] if k else 0.0) - q * (poly[k] if k < len(poly) else 0.0)
            for k in range(len(poly) + 1)
        ]
    data[5] = vector(poly)
    weight[5, 2] = 1.0
    out[3, 5] = 1.0
    return weight, data, out


def winograd(x, w, absolute):
    """The convolution of padded `x`, cut to whole tiles, by the formula above."""
    weight, data, out = matrices()
    rows, cols = (x.shape[2] - 2 + 3) // 4, (x.shape[3] - 2 + 3) // 4
    x = torch.nn.functional.pad(x, (0, cols * 4 + 2 - x.shape[3], 0, rows * 4 + 2 - x.shape[2]))
    if absolute:
        x, w, weight, data, out = x.abs(), w.abs(), weight.abs(), data.abs(), out.abs()
    tiles = x.unfold(2, 6, 4).unfold(3, 6, 4)  # n c rows cols 6 6
    v = torch.einsum("pi,ncrsij,qj->ncrspq", data, tiles, data)
    u = torch.einsum("pi,ocij,qj->ocpq", weight, w, weight)
    m = torch.einsum("ncrspq,ocpq->norspq", v, u)
    y = torch.einsum("ip,norspq,jq->norisj", out, m, out)
    return y.reshape(x.shape[0], w.shape[0], rows * 4, cols * 4)


def winograd_bound(x, w):
    height, width = x.shape[2] - 2, x.shape[3] - 2
    y = winograd(x, w, False)[:, :, :height, :width]
    torch.testing.assert_close(y, torch.nn.functional.conv2d(x, w))
    return winograd(x, w, True)[:, :, :height, :width]

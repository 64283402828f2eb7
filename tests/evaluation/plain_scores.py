"""J, F and their statistics as the definitions say them, pixel by pixel."""

import math

import numpy as np


def plain_iou(a, b):
    pairs = list(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    union = sum(x or y for x, y in pairs)
    return sum(x and y for x, y in pairs) / union if union else 1.0


def plain_boundary(mask):
    height, width = mask.shape
    edge = np.zeros(mask.shape, bool)
    for y in range(height):
        for x in range(width):
            right, down = x + 1 < width, y + 1 < height
            edge[y, x] |= right and mask[y, x] != mask[y, x + 1]
            edge[y, x] |= down and mask[y, x] != mask[y + 1, x]
            edge[y, x] |= right and down and mask[y, x] != mask[y + 1, x + 1]
    return edge


def plain_dilate(edge, radius):
    height, width = edge.shape
    out, reach = np.zeros_like(edge), int(radius)
    for y, x in np.argwhere(edge):
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                inside = 0 <= y + dy < height and 0 <= x + dx < width
                if inside and dx * dx + dy * dy <= radius * radius:
                    out[y + dy, x + dx] = True
    return out


def plain_f(a, b, bound):
    edge_a, edge_b = plain_boundary(a), plain_boundary(b)
    radius = (
        bound if bound >= 1 else math.ceil(bound * math.sqrt(a.shape[0] ** 2 + a.shape[1] ** 2))
    )
    near_a, near_b = plain_dilate(edge_a, radius), plain_dilate(edge_b, radius)
    n_a, n_b = edge_a.sum(), edge_b.sum()
    if n_a == 0 and n_b == 0:
        return 1.0
    if n_a == 0:
        precision, recall = 1.0, 0.0
    elif n_b == 0:
        precision, recall = 0.0, 1.0
    else:
        precision, recall = (edge_a & near_b).sum() / n_a, (edge_b & near_a).sum() / n_b
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def plain_statistics(values):
    """(mean, recall, decay) of one object over its scored frames, in plain numbers."""
    count = len(values)
    # Five borders at equal steps from 1 to n, rounded half to even as NumPy does.
    borders = [round(1 + quarter * (count - 1) / 4 + 1e-10) - 1 for quarter in range(5)]
    first, last = values[borders[0] : borders[1] + 1], values[borders[3] : borders[4] + 1]
    recall = sum(value > 0.5 for value in values) / count
    return sum(values) / count, recall, sum(first) / len(first) - sum(last) / len(last)

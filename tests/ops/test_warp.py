"""Windows against the written rule, and sampling against loops over pixels and PyTorch."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ivs_jax.ops.warp import roi_box, unwarp, warp

box_jit, warp_jit = jax.jit(roi_box), jax.jit(warp, static_argnums=2)
unwarp_jit = jax.jit(unwarp, static_argnums=2, static_argnames="exact")


def plain_box(marked):
    """The rule of experiments/papers/ipn.md, section 4, for one mask `[H, W]`."""
    ends = []
    for axis, length in ((1, marked.shape[1]), (0, marked.shape[0])):
        low, high = 0, length
        if marked.any():
            hit = np.nonzero(marked)[axis]
            low, high = int(hit.min()), int(hit.max())
        if high - low < 128:
            grow = int((128 - (high - low)) / 2)
            low, high = low - grow, high + grow
        size = high - low + 1
        low, high = max(-5, low - 0.25 * size), min(length + 5, high + 0.25 * size)
        centre, extent = (low + high) / 2, high - low + 1
        ends.append((centre - extent / 2, centre + extent / 2))
    (x0, x1), (y0, y1) = ends
    return np.array([x0, y0, x1, y1])


def masks():
    """One pixel, an odd and an even extent, a large one, a corner, all and nothing."""
    found = np.zeros((7, 260, 340), bool)
    found[0, 130, 200] = True
    found[1, 100:131, 150:220:3] = True
    found[2, 20:250, 40:301] = True
    found[3, 0, 0] = True
    found[4, 259, 100:339] = True
    found[5] = True
    return found


def test_boxes_equal_the_written_rule():
    found = box_jit(masks())
    want = np.stack([plain_box(mask) for mask in masks()])
    np.testing.assert_array_equal(found, want.astype(np.float32))


@pytest.mark.parametrize("size", [(260, 340), (90, 131)])
def test_the_box_of_a_padded_frame_is_that_of_the_frame(size):
    inside = masks()[:, : size[0], : size[1]]
    padded = np.zeros((7, 384, 384), bool)
    padded[:, : size[0], : size[1]] = inside
    found = box_jit(padded, jnp.array(size))
    np.testing.assert_array_equal(found, np.stack([plain_box(m) for m in inside]).astype("f4"))


def plain_sample(x, rows, columns):
    """Bilinear with zeros outside, `[H, W, C]` at the product of positions, pixel by pixel."""
    out = np.zeros((len(rows), len(columns), x.shape[2]))
    for i, y in enumerate(rows):
        for j, c in enumerate(columns):
            for a in (int(np.floor(y)), int(np.floor(y)) + 1):
                for b in (int(np.floor(c)), int(np.floor(c)) + 1):
                    if 0 <= a < x.shape[0] and 0 <= b < x.shape[1]:
                        out[i, j] += (1 - abs(y - a)) * (1 - abs(c - b)) * x[a, b]
    return out


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


BOXES = np.array([[-5.5, 3.25, 12.0, 9.5], [2.0, -3.0, 30.25, 20.5]], np.float32)


def test_warp_equals_pixel_by_pixel_sampling():
    x = noise(2, 13, 21, 3)
    found = warp_jit(x, BOXES, 8)
    for i, (x0, y0, x1, y1) in enumerate(BOXES):
        want = plain_sample(x[i], np.linspace(y0, y1, 8), np.linspace(x0, x1, 8))
        np.testing.assert_allclose(found[i], want, atol=1e-5)


@pytest.mark.parametrize("exact", [False, True])
def test_unwarp_equals_pixel_by_pixel_sampling(exact):
    windows, (height, width) = noise(2, 8, 8, 2), (13, 21)
    found = unwarp_jit(windows, BOXES, (height, width), exact=exact)
    for i, (x0, y0, x1, y1) in enumerate(BOXES):
        at = []
        for low, high, side in ((y0, y1, height), (x0, x1, width)):
            # As published, the slope has W and the offset W - 1.
            slope = (side - 1 if exact else side) / (high - low)
            offset = -(low + high - (side - 1)) / (high - low)
            at.append((slope * np.linspace(-1, 1, side) + offset + 1) / 2 * 7)
        np.testing.assert_allclose(found[i], plain_sample(windows[i], *at), atol=1e-5)


def test_both_ways_equal_grid_sample_of_pytorch():
    torch = pytest.importorskip("torch")
    grid = partial(torch.nn.functional.affine_grid, align_corners=True)
    sample = partial(torch.nn.functional.grid_sample, align_corners=True)
    (height, width), side = (60, 83), 32
    x0, y0, x1, y1 = box = np.array([-4.0, 6.5, 71.25, 58.0], np.float32)
    scale = np.array([(x1 - x0) / (width - 1), (y1 - y0) / (height - 1)])
    shift = np.array([(x0 + x1) / (width - 1) - 1, (y0 + y1) / (height - 1) - 1])
    back = np.array([width / (x1 - x0), height / (y1 - y0)])

    def theta(scale, shift):
        return torch.tensor(np.c_[np.diag(scale), shift][None], dtype=torch.float32)

    x = noise(1, height, width, 3)
    windowed = sample(
        torch.tensor(np.moveaxis(x, -1, 1)), grid(theta(scale, shift), (1, 3, side, side))
    )
    placed = sample(windowed, grid(theta(back, -shift / scale), (1, 3, height, width)))
    found = warp_jit(x, box[None], side)
    np.testing.assert_allclose(found, np.moveaxis(windowed.numpy(), 1, -1), atol=1e-4)
    found = unwarp_jit(found, box[None], (height, width))
    np.testing.assert_allclose(found, np.moveaxis(placed.numpy(), 1, -1), atol=2e-4)


def test_the_exact_inverse_gives_back_what_the_window_holds():
    y, x = np.mgrid[:60, :80]
    image = (np.sin(x / 9) + np.cos(y / 7))[None, ..., None].astype(np.float32)
    box = jnp.array([[-3.5, -5.5, 82.5, 64.5]])  # the whole frame
    windows = warp_jit(image, box, 256)
    errors = {
        exact: np.abs(unwarp_jit(windows, box, (60, 80), exact=exact) - image)[0, 2:-2, 2:-2].max()
        for exact in (True, False)
    }
    assert errors[True] < 5e-3 < errors[False] < 0.2


def test_a_padded_frame_samples_like_the_frame_and_stays_zero_beyond_it():
    x, windows, size = noise(2, 13, 21, 3), noise(2, 8, 8, 1), (13, 21)
    padded = np.pad(x, ((0, 0), (0, 5), (0, 9), (0, 0)))
    np.testing.assert_allclose(warp_jit(padded, BOXES, 8), warp_jit(x, BOXES, 8), atol=1e-5)
    found = unwarp_jit(windows, BOXES, (18, 30), jnp.array(size))
    np.testing.assert_allclose(
        found[:, :13, :21], unwarp_jit(windows, BOXES, size), rtol=1e-4, atol=1e-5
    )
    assert not found[:, 13:].any() and not found[:, :, 21:].any()


def test_gradients_agree_with_finite_differences():
    box, weights = jnp.asarray(BOXES), noise(2, 13, 21, 2, seed=1)

    def f(x):
        return jnp.sum(unwarp(jnp.tanh(warp(x, box, 8)), box, (13, 21)) * weights)

    check_grads(jax.jit(f), (noise(2, 13, 21, 2),), order=1, modes=["rev"], atol=2e-2, rtol=2e-2)


def test_a_new_box_compiles_nothing(compilations):
    marked = masks()[:2]
    windows = warp_jit(marked[..., None].astype("f4"), box_jit(marked), 16)
    other, size = jnp.roll(jnp.asarray(marked), 40, axis=2), jnp.array([260, 340])
    unwarp_jit(windows, box_jit(marked, size), (260, 340), size)
    values = other[..., None].astype(jnp.float32)
    with compilations() as compiled:
        box = box_jit(other, size)
        unwarp_jit(warp_jit(values, box, 16), box, (260, 340), size)
    assert compiled.count == 0

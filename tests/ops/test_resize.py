import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.ops.resize import crop_resize, paste, resize, resize_cubic

resize_jit = jax.jit(resize, static_argnums=1, static_argnames="align_corners")
crop_jit, paste_jit = (jax.jit(f, static_argnums=2) for f in (crop_resize, paste))


def _plain_axis(x, target, align_corners):
    """PyTorch's `interpolate(mode="bilinear")` along axis 0, by its formula."""
    source, rows = len(x), []
    for i in range(target):
        if align_corners:
            at = i * (source - 1) / (target - 1) if target > 1 else 0.0
        else:
            at = max((i + 0.5) * source / target - 0.5, 0.0)
        low = int(at)
        high = min(low + 1, source - 1)
        rows.append((1 - (at - low)) * x[low] + (at - low) * x[high])
    return np.stack(rows)


def _plain_resize(x, size, align_corners):
    rows = _plain_axis(np.asarray(x, np.float64), size[0], align_corners)
    return _plain_axis(rows.swapaxes(0, 1), size[1], align_corners).swapaxes(0, 1)


def _noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def _smooth(height, width):
    y, x = np.mgrid[:height, :width]
    image = np.stack([np.sin(x / 9), np.cos(y / 7), np.sin((x + y) / 11)], -1)
    return (2 + image).astype(np.float32)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((6, 5), (13, 17)),
        ((13, 17), (6, 5)),
        ((6, 5), (3, 20)),
        ((1, 1), (4, 5)),
        ((1, 6), (7, 6)),
        ((5, 4), (1, 1)),
        ((5, 4), (1, 9)),
        ((7, 3), (7, 5)),
    ],
)
def test_resize_equals_the_formula_of_pytorch(source, target, align_corners):
    x = _noise(*source, 2)
    found = resize_jit(jnp.asarray(x), target, align_corners=align_corners)
    np.testing.assert_allclose(found, _plain_resize(x, target, align_corners), atol=1e-5)


def test_resize_keeps_leading_axes_and_the_same_size():
    x = _noise(2, 3, 6, 5, 2)
    found = resize_jit(jnp.asarray(x), (9, 4))
    assert found.shape == (2, 3, 9, 4, 2)
    np.testing.assert_allclose(found[1, 2], _plain_resize(x[1, 2], (9, 4), False), atol=1e-5)
    assert resize(x, (6, 5)) is x


def test_crop_of_the_whole_image_is_the_identity():
    x = _noise(9, 14, 3)
    found = crop_jit(jnp.asarray(x), jnp.array([0.0, 0.0, 14.0, 9.0]), (9, 14))
    np.testing.assert_allclose(found, x, atol=1e-6)


def test_crop_over_whole_pixels_is_a_slice_and_zero_beyond_the_border():
    x = _noise(9, 14, 3)
    found = np.asarray(crop_jit(jnp.asarray(x), jnp.array([-3.0, 4.0, 5.0, 12.0]), (8, 8)))
    np.testing.assert_allclose(found[:5, 3:], x[4:, :5], atol=1e-6)
    assert (found[5:] == 0).all() and (found[:, :3] == 0).all()


def test_a_shrinking_crop_takes_the_mean_of_what_it_covers():
    checks = (np.indices((32, 32)).sum(0) % 2).astype(np.float32)[..., None]
    found = crop_jit(jnp.asarray(checks), jnp.array([0.0, 0.0, 32.0, 32.0]), (8, 8))
    np.testing.assert_allclose(found, 0.5, atol=0.02)


@pytest.mark.parametrize("window", [(40, 40), (16, 16)])
def test_paste_undoes_a_crop_inside_its_box(window):
    x, (x0, y0, x1, y1) = _smooth(48, 60), (11.5, 6.25, 41.5, 36.25)
    box = jnp.array([x0, y0, x1, y1])
    pasted = paste_jit(crop_jit(jnp.asarray(x), box, window), box, (48, 60))
    pasted = np.asarray(pasted)
    # At the edge of the box the window ends, so a margin of one window pixel is left out.
    margin = int(np.ceil(30 / window[0])) + 1
    inner = np.s_[int(y0) + margin : int(y1) - margin, int(x0) + margin : int(x1) - margin]
    np.testing.assert_allclose(pasted[inner], x[inner], atol=0.02)
    outside = np.ones((48, 60), bool)
    outside[5:38, 10:43] = False
    assert (pasted[outside] == 0).all() and (pasted[10:33, 15:38] != 0).all()


def test_a_new_box_compiles_nothing(compilations):
    @jax.jit
    def there_and_back(x, box):
        return paste(crop_resize(x, box, (8, 8)), box, (12, 10))

    x = jnp.ones((12, 10, 1))
    boxes = [jnp.array(b) for b in ([0.0, 0.0, 10.0, 12.0], [2.5, 1.0, 9.0, 7.5])]
    first = there_and_back(x, boxes[0])
    with compilations() as compiled:
        second = there_and_back(x, boxes[1])
    assert compiled.count == 0
    assert float(second.sum()) < float(first.sum())


@pytest.mark.parametrize("size", [(32, 64), (7, 5), (13, 40)])
def test_cubic_is_that_of_opencv_and_pytorch(size):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).random((13, 17, 2), np.float32)
    planes = torch.from_numpy(x.transpose(2, 0, 1)[None].copy())
    want = torch.nn.functional.interpolate(planes, size, mode="bicubic", align_corners=False)
    found = jax.jit(resize_cubic, static_argnums=1)(x, size)
    np.testing.assert_allclose(found, want[0].numpy().transpose(1, 2, 0), atol=1e-5)

"""Object-contextual representations (Yuan et al., 2020), as f-BRS has them.

See experiments/papers/brs.md, section B3.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.layers import Conv, ConvNorm


class OCR(nn.Module):
    """Adds to each pixel what it attends to among the regions that an auxiliary head proposes.

    Click networks know one region, the object. The softmax over it is 1 at every pixel, so the
    attention weights, and with them `pixel` and `region`, have no influence there; the published
    networks compute them all the same, and so it is written here for any number of regions.

    Attributes:
      channels: of the features that come in.
      width: of keys and values; the features that go out have twice as many channels.
    """

    channels: int
    width: int

    def setup(self) -> None:
        self.auxiliary = ConvNorm(self.channels, kernel=1, bias=True)
        self.auxiliary_predict = Conv(1, (1, 1))
        self.reduce = ConvNorm(2 * self.width, bias=True)
        self.pixel = [ConvNorm(self.width, kernel=1) for _ in range(2)]
        self.region = [ConvNorm(self.width, kernel=1) for _ in range(2)]
        self.down = ConvNorm(self.width, kernel=1)
        self.up = ConvNorm(2 * self.width, kernel=1)
        self.merge = ConvNorm(2 * self.width, kernel=1)
        self.predict = Conv(1, (1, 1))

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """`x` `[N, h, w, channels]` -> features `[N, h, w, 2 * width]`, auxiliary logits `[.., 1]`.

        The dropout that follows belongs to training only.
        """
        auxiliary = self.auxiliary_predict(self.auxiliary(x))
        x = self.reduce(x)
        context = self._attended(x, gather(x, auxiliary))
        return self.merge(jnp.concatenate([context, x], -1)), auxiliary

    def classify(self, features: Array) -> Array:
        """Features `[N, h, w, 2 * width]` -> logits `[N, h, w, 1]`."""
        return self.predict(features)

    def _attended(self, x: Array, regions: Array) -> Array:
        # The vectors of the regions are the pixels of an image of one row.
        query, key = x, regions[:, None]
        for of_query, of_key in zip(self.pixel, self.region, strict=True):
            query, key = of_query(query), of_key(key)
        value = self.down(regions[:, None])
        likeness = jnp.einsum("nhwc,nkc->nhwk", query, key[:, 0]) / self.width**0.5
        weights = jax.nn.softmax(likeness, -1)
        return self.up(jnp.einsum("nhwk,nkc->nhwc", weights, value[:, 0]))


def gather(x: Array, logits: Array) -> Array:
    """Mean features of each region: `x` `[N, h, w, C]`, `logits` `[N, h, w, K]` -> `[N, K, C]`.

    The pixels are weighted by the softmax of a region's logits over all of them.
    """
    weights = jax.nn.softmax(logits, (1, 2))
    return jnp.einsum("nhwk,nhwc->nkc", weights, x)

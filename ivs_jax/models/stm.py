"""Space-time memory network (STM; Oh et al., ICCV 2019), variant of the official code.

A memory encoder turns frames with masks into keys and values, a query encoder does the same for
the frame to segment, every query position attends to all memory positions of its object, and a
decoder refines what was read. Objects only meet in soft aggregation. The backbone and all widths
are a config: the published network is the same code with ResNet-50 and 128 / 512 / 256.
"""

from dataclasses import dataclass
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.layers import HE, Conv, Refine, ResBlock
from ivs_jax.models.mobilenet import MobileNetV1
from ivs_jax.ops.aggregate import aggregate_logits
from ivs_jax.ops.resize import resize

BACKBONES = {"mobilenet_v1": MobileNetV1}
STRIDE = 16
ABSENT = -100.0  # logit of an object that no memory knows


@dataclass(frozen=True)
class STMConfig:
    """Sizes of a space-time memory network.

    Attributes:
      backbone: name of both encoders (weights are not shared).
      key, value: channels of keys and values (published: 128 and 512).
      mask_skip: whether the values of the memory also see the masks directly, averaged to their
        grid. The published network has only the path through the encoder, which takes far longer
        to learn.
      decoder: channels at strides 16, 8 and 4 (published: 256 each).
      capacity: frames that the memory of a session holds.
      every: a frame is memorised for good every so many frames.
      working_side: long side in pixels to which frames are shrunk before they are segmented.
    """

    backbone: str = "mobilenet_v1"
    key: int = 64
    value: int = 256
    mask_skip: bool = True
    decoder: tuple[int, int, int] = (128, 96, 64)
    capacity: int = 8
    every: int = 5
    working_side: int = 352


class Query(NamedTuple):
    """Encoded frame: key `[N, h, w, k]`, value `[N, h, w, v]` and skips at strides 8 and 4."""

    key: Array
    value: Array
    r3: Array
    r2: Array


class STM(nn.Module):
    """`memorise`, `query` and `segment`; see the module's docstring."""

    config: STMConfig = STMConfig()

    def setup(self) -> None:
        config, backbone = self.config, BACKBONES[self.config.backbone]
        self.memory_encoder = backbone(extra=True)
        self.query_encoder = backbone()
        self.memory_kv = _KeyValue(config.key, config.value)
        self.query_kv = _KeyValue(config.key, config.value)
        if config.mask_skip:
            self.mask_value = Conv(config.value, (3, 3), use_bias=False, kernel_init=HE)
        self.decoder = _Decoder(config.decoder)

    def memorise(self, frame: Array, masks: Array) -> tuple[Array, Array]:
        """Keys and values of a frame for each object.

        `frame` `[N, H, W, 3]` in [0, 1], `masks` `[N, K, H, W]` soft masks of the objects; H and W
        multiples of 16. Returns key `[N, K, H/16, W/16, k]` and value `[N, K, H/16, W/16, v]`.
        """
        n, k = masks.shape[:2]
        others = jnp.clip(jnp.sum(masks, 1, keepdims=True) - masks, 0, 1)
        extra = jnp.stack([masks, others], -1).reshape(n * k, *masks.shape[2:], 2)
        embedded = jnp.repeat(self.memory_encoder.embed(frame), k, axis=0)
        key, value = self.memory_kv(self.memory_encoder(embedded, extra)[STRIDE])
        if self.config.mask_skip:
            grid = (n * k, value.shape[1], STRIDE, value.shape[2], STRIDE, 2)
            value += self.mask_value(jnp.mean(extra.reshape(grid), (2, 4)))
        return key.reshape(n, k, *key.shape[1:]), value.reshape(n, k, *value.shape[1:])

    def query(self, frame: Array) -> Query:
        """Encodes the frame `[N, H, W, 3]` to segment; shared by all objects and memories."""
        features = self.query_encoder(self.query_encoder.embed(frame))
        key, value = self.query_kv(features[STRIDE])
        return Query(key, value, features[8], features[4])

    def segment(self, query: Query, keys: Array, values: Array, valid: Array) -> Array:
        """Segments a frame from the memory of its objects.

        `keys` `[N, K, M, h, w, k]`, `values` `[N, K, M, h, w, v]`, `valid` `[N, K, M]` bool: memory
        frames that count. Returns the logits of each object alone `[N, K, H, W]`; those of objects
        without any valid memory are -100.
        """
        n, k = valid.shape[:2]
        read = jax.vmap(jax.vmap(read_memory, (None, 0, 0, 0)))(query.key, keys, values, valid)
        own = jnp.broadcast_to(query.value[:, None], read.shape)
        x = jnp.concatenate([read, own], -1).reshape(n * k, *own.shape[2:4], -1)
        r3, r2 = (jnp.repeat(skip, k, axis=0) for skip in (query.r3, query.r2))
        logits = self.decoder(x, r3, r2)
        # The official decoder ends in a softmax of two logits: the sigmoid of their difference.
        alone = (logits[..., 1] - logits[..., 0]).reshape(n, k, *logits.shape[1:3])
        return jnp.where(jnp.any(valid, -1)[..., None, None], alone, ABSENT)

    def __call__(self, frame: Array, masks: Array) -> Array:
        """Memorises `frame` with `masks` and segments it again: touches every parameter once."""
        keys, values = self.memorise(frame, masks)
        valid = jnp.ones((*masks.shape[:2], 1), bool)
        return self.segment(self.query(frame), keys[:, :, None], values[:, :, None], valid)


def read_memory(query: Array, keys: Array, values: Array, valid: Array) -> Array:
    """Space-time memory read of one object (STM section 3.2; scaled as in the official code).

    Each position of `query` `[h, w, k]` attends to every position of the valid frames of `keys`
    `[M, h, w, k]` by softmax(q . k / sqrt(k)); returns the mean of `values` `[M, h, w, v]` under
    these weights, `[h, w, v]`. `valid` is `[M]` bool; with none valid the read is 0.
    """
    size, width = query.shape[:2], query.shape[-1]
    q, k = query.reshape(-1, width), keys.reshape(-1, width)
    scores = (q @ k.T).astype(jnp.float32) / jnp.sqrt(jnp.float32(width))
    mask = jnp.repeat(valid, keys.shape[1] * keys.shape[2])[None]
    weights = jnp.where(mask, jnp.exp(scores - _masked_max(scores, mask)), 0)
    weights = weights / jnp.maximum(jnp.sum(weights, -1, keepdims=True), 1e-30)
    return (weights.astype(values.dtype) @ values.reshape(-1, values.shape[-1])).reshape(*size, -1)


def _masked_max(scores: Array, mask: Array) -> Array:
    highest = jnp.max(jnp.where(mask, scores, -jnp.inf), -1, keepdims=True)
    return jax.lax.stop_gradient(jnp.where(jnp.isfinite(highest), highest, 0))


def labels_logits(logits: Array) -> Array:
    """Soft-aggregated logits `[N, H, W, K + 1]` of objects' logits `[N, K, H, W]`."""
    return aggregate_logits(jnp.moveaxis(logits, 1, -1))


class _KeyValue(nn.Module):
    key: int
    value: int

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        key = Conv(self.key, (3, 3), name="Key")(x)
        return key, Conv(self.value, (3, 3), name="Value")(x)


class _Decoder(nn.Module):
    widths: tuple[int, int, int]

    @nn.compact
    def __call__(self, x: Array, r3: Array, r2: Array) -> Array:
        x = Conv(self.widths[0], (3, 3), kernel_init=HE, name="convFM")(x)
        x = ResBlock(self.widths[0], name="ResMM")(x)
        x = Refine(self.widths[1], name="RF3")(r3, x)
        x = Refine(self.widths[2], name="RF2")(r2, x)
        # Zero at first: a saturated probability would be clipped and pass no gradient.
        predict = Conv(2, (3, 3), kernel_init=nn.initializers.zeros, name="pred2")
        logits = predict(nn.relu(x))
        return resize(logits, (4 * logits.shape[1], 4 * logits.shape[2]))

"""Space-time memory networks: STM (Oh et al., ICCV 2019) and STM-Interactive (PAMI).

A memory encoder turns frames with masks into keys and values, a query encoder does the same for
the frame to segment, every query position attends to all memory positions of its object, and a
decoder refines what was read. Objects only meet in soft aggregation. The backbone, all widths and
where the official code and the paper differ are a config: the published network is the same code
with ResNet-50 and 128 / 512 / 256. STM-Interactive's memory also sees scribbles.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.layers import HE, Conv, Refine, ResBlock
from ivs_jax.models.memory_read import read_memory
from ivs_jax.models.mobilenet import MobileNetV1
from ivs_jax.models.resnet import ResNet
from ivs_jax.ops.aggregate import aggregate, aggregate_logits
from ivs_jax.ops.resize import resize

BACKBONES: dict[str, Any] = {
    "mobilenet_v1": MobileNetV1,
    "resnet50": partial(ResNet, depth=50, stages=3),
}
STRIDE = 16
ABSENT = -100.0  # logit of an object that no memory knows


@dataclass(frozen=True)
class STMConfig:
    """Sizes of a space-time memory network.

    Attributes:
      backbone: name of both encoders (weights are not shared), a key of `BACKBONES`.
      key, value: channels of keys and values (published: 128 and 512).
      others: whether the memory encoder sees the other objects' masks too (official code; paper and
        STM-Interactive: no).
      scribbles: whether it sees scribbles (STM-Interactive).
      scaled: whether scores are divided by sqrt(key) (official code; paper: no).
      locality: standard deviation, in cells of 16 pixels, of a Gaussian prior on how far a query
        looks (the static kernel of KMN, Seong et al., ECCV 2020, centred at the query itself); None
        for none, as published. A small network confuses look-alikes less with it.
      recency: frames after which a frame of the memory counts e times less, whichever way time
        runs; None for none, as published. What lies far back is seldom where it was.
      read_first: whether the decoder's input is [read, value] (official code; paper: reversed).
      clamp: whether soft aggregation clamps probabilities to [1e-7, 1 - 1e-7], as published.
      mask_skip: whether the values of the memory also see the masks directly, averaged to their
        grid. The published network has only the path through the encoder, which takes far longer
        to learn.
      decoder: channels at strides 16, 8 and 4 (published: 256 each).
      capacity: frames that the memory of a session holds. The published code has no bound, but on
        DAVIS (104 frames at most) never holds more than 22; see `session.memory` for what goes.
      every: a frame is memorised for good every so many frames.
      annotated_only: whether a session memorises only what the user annotated (STM-Interactive).
      working_side: long side in pixels to which frames are shrunk before they are segmented, to
        multiples of 16.
      short_side: where given, the published rule instead: larger frames are shrunk to this short
        side, and all are zero-padded to multiples of 16.
    """

    backbone: str = "mobilenet_v1"
    key: int = 64
    value: int = 256
    others: bool = True
    scribbles: bool = False
    scaled: bool = True
    locality: float | None = 3.0
    recency: float | None = 4.0
    read_first: bool = True
    clamp: bool = False
    mask_skip: bool = True
    decoder: tuple[int, int, int] = (128, 96, 64)
    capacity: int = 12
    every: int = 5
    annotated_only: bool = False
    working_side: int = 480
    short_side: int | None = None


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
        config = self.config
        if config.backbone not in BACKBONES:
            legal = ", ".join(BACKBONES)
            raise ValueError(f"unknown backbone {config.backbone!r}, expected one of {legal}")
        backbone = BACKBONES[config.backbone]
        self.memory_encoder = backbone(extra=True)
        self.query_encoder = backbone()
        self.memory_kv = _KeyValue(config.key, config.value)
        self.query_kv = _KeyValue(config.key, config.value)
        if config.mask_skip:
            self.mask_value = Conv(config.value, (3, 3), use_bias=False, kernel_init=HE)
        self.decoder = _Decoder(config.decoder)

    def memorise(
        self, frame: Array, masks: Array, scribbles: Array | None = None
    ) -> tuple[Array, Array]:
        """Keys and values of a frame for each object.

        `frame` `[N, H, W, 3]` in [0, 1], `masks` `[N, K, H, W]` soft masks of the objects; H and W
        multiples of 16. A network that sees scribbles may get them as `[N, K + 1, H, W]` in [0, 1],
        those of the background first; none are all 0. Returns key `[N, K, H/16, W/16, k]` and value
        `[N, K, H/16, W/16, v]`.
        """
        _check("memorise", frame, masks)
        n, k = masks.shape[:2]
        extra = self._memory_inputs(masks, scribbles).reshape(n * k, *masks.shape[2:], -1)
        embedded = jnp.repeat(self.memory_encoder.embed(frame), k, axis=0)
        key, value = self.memory_kv(self.memory_encoder(embedded, extra)[STRIDE])
        if self.config.mask_skip:
            grid = (n * k, value.shape[1], STRIDE, value.shape[2], STRIDE, extra.shape[-1])
            value += self.mask_value(jnp.mean(extra.reshape(grid), (2, 4)))
        return key.reshape(n, k, *key.shape[1:]), value.reshape(n, k, *value.shape[1:])

    def _memory_inputs(self, masks: Array, scribbles: Array | None) -> Array:
        """What the memory encoder sees besides the frame, `[N, K, H, W, E]`."""
        n, k, *sides = masks.shape
        inputs = [masks]
        if self.config.others:
            inputs.append(_others(masks, masks))
        if self.config.scribbles:
            shape = (n, k + 1, *sides)
            whole = jnp.zeros(shape, masks.dtype) if scribbles is None else scribbles
            if whole.shape != shape:
                raise ValueError(f"memorise: scribbles are {whole.shape}, expected {shape}")
            inputs += [whole[:, 1:], _others(whole, whole[:, 1:])]
        elif scribbles is not None:
            raise ValueError("memorise: scribbles are given, but this network takes none")
        return jnp.stack(inputs, -1)

    def query(self, frame: Array) -> Query:
        """Encodes the frame `[N, H, W, 3]` to segment, for all objects; sides as in `memorise`."""
        _check("query", frame)
        features = self.query_encoder(self.query_encoder.embed(frame))
        key, value = self.query_kv(features[STRIDE])
        return Query(key, value, features[8], features[4])

    def segment(
        self, query: Query, keys: Array, values: Array, valid: Array, age: Array | None = None
    ) -> Array:
        """Segments a frame from the memory of its objects.

        `keys` `[N, K, M, h, w, k]`, `values` `[N, K, M, h, w, v]`, `valid` `[N, K, M]` bool: memory
        frames that count, `age` `[M]`: frames between them and this one, for `recency`; None: not
        known, all count alike. Returns the logits of each object alone `[N, K, H, W]`; those of
        objects without any valid memory are -100.
        """
        n, k = valid.shape[:2]
        config = self.config
        fresh = None if age is None or config.recency is None else age / -config.recency
        attend = partial(read_memory, scaled=config.scaled, locality=config.locality, fresh=fresh)
        read = jax.vmap(jax.vmap(attend, (None, 0, 0, 0)))(query.key, keys, values, valid)
        own = jnp.broadcast_to(query.value[:, None], read.shape)
        pair = [read, own] if config.read_first else [own, read]
        x = jnp.concatenate(pair, -1).reshape(n * k, *own.shape[2:4], -1)
        r3, r2 = (jnp.repeat(skip, k, axis=0) for skip in (query.r3, query.r2))
        logits = self.decoder(x, r3, r2)
        # The official decoder ends in a softmax of two logits: the sigmoid of their difference.
        alone = (logits[..., 1] - logits[..., 0]).reshape(n, k, *logits.shape[1:3])
        return jnp.where(jnp.any(valid, -1)[..., None, None], alone, ABSENT)

    def example_inputs(self, side: int) -> tuple[Array, ...]:
        """Zeros for `__call__` that touch every parameter."""
        return jnp.zeros((1, side, side, 3)), jnp.zeros((1, 1, side, side))

    def __call__(self, frame: Array, masks: Array) -> Array:
        """Memorises `frame` with `masks` and segments it again: touches every parameter once."""
        keys, values = self.memorise(frame, masks)
        valid = jnp.ones((*masks.shape[:2], 1), bool)
        return self.segment(self.query(frame), keys[:, :, None], values[:, :, None], valid)


def _others(whole: Array, own: Array) -> Array:
    """Sum of `whole` `[N, L, H, W]` without `own` `[N, K, H, W]`, at most 1 (spec section 1)."""
    return jnp.clip(jnp.sum(whole, 1, keepdims=True) - own, 0, 1)


def _check(method: str, frame: Array, masks: Array | None = None) -> None:
    n, height, width, channels = frame.shape if frame.ndim == 4 else (0, 0, 0, 0)
    if channels != 3 or height % STRIDE or width % STRIDE:
        expected = f"(N, H, W, 3) with H and W multiples of {STRIDE}"
        raise ValueError(f"{method}: frame is {frame.shape}, expected {expected}")
    if masks is not None and (masks.ndim != 4 or masks.shape != (n, masks.shape[1], height, width)):
        expected = f"({n}, K, {height}, {width})"
        raise ValueError(f"{method}: masks are {masks.shape}, expected {expected}")


def labels_logits(logits: Array, *, clamp: bool = False) -> Array:
    """Soft-aggregated logits `[N, H, W, K + 1]` of objects' logits `[N, K, H, W]`.

    `clamp` bounds each probability first, as published; see `ops.aggregate` for both.
    """
    logits = jnp.moveaxis(logits, 1, -1)
    return aggregate(jax.nn.sigmoid(logits)) if clamp else aggregate_logits(logits)


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

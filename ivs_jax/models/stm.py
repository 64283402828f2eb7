"""Space-time memory networks: STM (Oh et al., ICCV 2019), STM-Interactive (PAMI), and a small one.

Frames with masks become keys and values of a memory, every position of the frame to segment attends
to all positions of its object's memory, and a decoder refines what was read. Objects only meet in
soft aggregation. The published networks have two encoders, one of which sees the masks, and compare
keys by their product; STM-Interactive's also sees scribbles. The small network that ships has one
key a frame, from the image alone, compared by distance (STCN, Cheng et al., NeurIPS 2021), and a
path for the masks from the memory to the decoder (experiments/papers/stm.md, section 8). The
backbone, all widths and where the official code and the paper differ are a config.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from ivs_jax.models.layers import Conv
from ivs_jax.models.mask_value import (
    COARSE,
    FINE,
    STRIDE,
    MaskValue,
    average,
    per_object,
    read_masks,
    to_cells,
    value_width,
)
from ivs_jax.models.memory_read import read_memory
from ivs_jax.models.mobilenet import MobileNetV1
from ivs_jax.models.resnet import ResNet
from ivs_jax.models.stm_decoder import Decoder, MaskPath
from ivs_jax.ops.aggregate import aggregate, aggregate_logits

BACKBONES: dict[str, Any] = {
    "mobilenet_v1": MobileNetV1,
    "resnet50": partial(ResNet, depth=50, stages=3),
}
MOST_ENLARGED = 4.0  # times that a small frame is enlarged to `working_side`
ABSENT = -100.0  # logit of an object that no memory knows


@dataclass(frozen=True)
class STMConfig:
    """Sizes of a space-time memory network.

    Attributes:
      backbone: name of the encoders (weights are not shared), a key of `BACKBONES`.
      key, value: channels of keys and values (published: 128 and 512).
      shared_key: one key a frame, from the image alone, for memory and query, compared by negative
        squared distance; values are made from the frame's features and masks (STCN). Published STM:
        a second encoder for the memory, keys compared by their product.
      top_k: only the so many most similar positions of the memory are read (MiVOS, Cheng et al.,
        CVPR 2021); None for all, as published.
      previous: whether the decoder also sees the masks of the frame before; needs `shared_key`.
      others: whether the memory sees the other objects' masks too (official code; paper and
        STM-Interactive: no).
      scribbles: whether it sees scribbles (STM-Interactive).
      scaled: whether scores are divided by sqrt(key) (official code; paper: no).
      read_first: whether the decoder's input is [read, value] (official code; paper: reversed).
      clamp: whether soft aggregation clamps probabilities to [1e-7, 1 - 1e-7], as published.
      decoder: channels at strides 16, 8 and 4 (published: 256 each).
      capacity: frames that the memory of a session holds. The published code has no bound, but on
        DAVIS (104 frames at most) never holds more than 22; see `session.memory` for what goes.
      every: a frame is memorised for good every so many frames.
      annotated_only: whether a session memorises only what the user annotated (STM-Interactive).
      working_side: long side in pixels at which frames are segmented, in multiples of 16; smaller
        frames are enlarged, at most `MOST_ENLARGED` times.
      short_side: where given, the published rule instead: larger frames are shrunk to this short
        side, and all are zero-padded to multiples of 16.
    """

    backbone: str = "mobilenet_v1"
    key: int = 64
    value: int = 128
    shared_key: bool = True
    top_k: int | None = 32
    previous: bool = True
    others: bool = True
    scribbles: bool = False
    scaled: bool = True
    read_first: bool = True
    clamp: bool = False
    decoder: tuple[int, int, int] = (128, 64, 48)
    capacity: int = 12
    every: int = 5
    annotated_only: bool = False
    working_side: int = 480
    short_side: int | None = None

    def __post_init__(self) -> None:
        if self.previous and not self.shared_key:
            raise ValueError("previous: only networks with shared_key see the frame before")
        if self.scribbles and self.shared_key:
            raise ValueError("scribbles: networks with shared_key see none")

    @property
    def masks(self) -> int:
        """Masks that the memory sees of each object: its own, and perhaps the others'."""
        return 2 if self.others else 1

    @property
    def value_width(self) -> int:
        """Channels of the memory's values; with shared keys the masks' cells are among them."""
        return value_width(self.value, self.masks) if self.shared_key else self.value

    @property
    def keeps_previous(self) -> bool:
        """Whether a session's memory holds the frame before, whatever `every` says."""
        return not (self.shared_key or self.annotated_only)


class Query(NamedTuple):
    """Encoded frame.

    Attributes:
      key: `[N, h, w, k]` at stride 16, compared with the memory's.
      value: `[N, h, w, v]`, what the decoder sees of the frame at that stride.
      r4, r3, r2, r1: features at strides 16, 8, 4 and 2.
    """

    key: Array
    value: Array
    r4: Array
    r3: Array
    r2: Array
    r1: Array


class STM(nn.Module):
    """`memorise`, `query` and `segment`; see the module's docstring."""

    config: STMConfig = STMConfig()

    def setup(self) -> None:
        config = self.config
        if config.backbone not in BACKBONES:
            legal = ", ".join(BACKBONES)
            raise ValueError(f"unknown backbone {config.backbone!r}, expected one of {legal}")
        backbone = BACKBONES[config.backbone]
        self.query_encoder = backbone()
        self.query_kv = _KeyValue(config.key, config.value)
        if config.shared_key:
            self.mask_value = MaskValue(config.value)
        else:
            self.memory_encoder = backbone(extra=True)
            self.memory_kv = _KeyValue(config.key, config.value)
        self.decoder = Decoder(config.decoder)

    def memorise(
        self, frame: Array, masks: Array, scribbles: Array | None = None
    ) -> tuple[Array, Array]:
        """Keys and values of a frame for each object.

        Args:
          frame: `[N, H, W, 3]` in [0, 1]; H and W multiples of 16.
          masks: `[N, K, H, W]` soft masks of the objects.
          scribbles: for a network that sees them, `[N, K + 1, H, W]` in [0, 1], those of the
            background first; None: none were drawn.

        Returns key `[N, J, H/16, W/16, k]` and value `[N, K, H/16, W/16, v]`. J is K, or 1 where
        all objects share the key of the frame.
        """
        _check("memorise", frame, masks)
        extra = self._memory_inputs(masks, scribbles)
        if self.config.shared_key:
            return self._fused(self.query(frame), extra)
        n, k = masks.shape[:2]
        embedded = per_object(self.memory_encoder.embed(frame), k)
        encoded = self.memory_encoder(embedded, extra.reshape(n * k, *masks.shape[2:], -1))
        key, value = self.memory_kv(encoded[STRIDE])
        return key.reshape(n, k, *key.shape[1:]), value.reshape(n, k, *value.shape[1:])

    def memorise_query(self, query: Query, masks: Array) -> tuple[Array, Array]:
        """`memorise` of a frame that `query` has encoded; of networks with `shared_key`."""
        return self._fused(query, self._memory_inputs(masks, None))

    def _fused(self, query: Query, extra: Array) -> tuple[Array, Array]:
        """The frame's key, and values of its features with the masks `extra` `[N, K, H, W, E]`."""
        value = self.mask_value(extra, query.r3, query.r4)
        return query.key[:, None], value.reshape(*extra.shape[:2], *value.shape[1:])

    def _memory_inputs(self, masks: Array, scribbles: Array | None) -> Array:
        """What the memory sees besides the frame, `[N, K, H, W, E]`."""
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
        embedded = self.query_encoder.embed(frame)
        features = self.query_encoder(embedded)
        key, value = self.query_kv(features[STRIDE])
        return Query(key, value, features[STRIDE], features[8], features[4], embedded)

    def segment(
        self,
        query: Query,
        keys: Array,
        values: Array,
        valid: Array,
        previous: Array | None = None,
    ) -> Array:
        """Segments a frame from the memory of its objects.

        Args:
          query: the frame, encoded.
          keys: `[N, J, M, h, w, k]` of `memorise`, M memory frames.
          values: `[N, K, M, h, w, v]`.
          valid: `[N, K, M]` bool, memory frames that count.
          previous: `[N, K, H, W]` soft masks of the frame before, for a network that sees them;
            None: not known.

        Returns the logits of each object alone `[N, K, H, W]`; those of objects without any valid
        memory are -100.
        """
        n, k = valid.shape[:2]
        read = self._read(query.key, keys, values, valid)
        read = read.reshape(n * k, *read.shape[2:])
        own = per_object(query.value, k)
        parts = [read, own] if self.config.read_first else [own, read]
        masks = None
        if self.config.shared_key:
            fine, coarse = read_masks(read, self.config.value)
            if self.config.previous:
                before = self._previous(previous, fine, (n, k))
                at_4 = average(before, COARSE)
                parts.append(to_cells(at_4, STRIDE // COARSE))
                coarse = jnp.concatenate([coarse, at_4], -1)
                fine = jnp.concatenate([fine, average(before[..., :1], FINE)], -1)
            masks = MaskPath(coarse, fine, query.r1)
        logits = self.decoder(jnp.concatenate(parts, -1), query.r3, query.r2, masks)
        # The official decoder ends in a softmax of two logits: the sigmoid of their difference.
        alone = (logits[..., 1] - logits[..., 0]).reshape(n, k, *logits.shape[1:3])
        return jnp.where(jnp.any(valid, -1)[..., None, None], alone, ABSENT)

    def _read(self, query: Array, keys: Array, values: Array, valid: Array) -> Array:
        """What each object's memory gives, `[N, K, h, w, v]`."""
        config = self.config
        attend = partial(
            read_memory,
            similarity="l2" if config.shared_key else "dot",
            scaled=config.scaled,
            top_k=config.top_k,
        )
        if config.shared_key:  # one matrix of scores for all objects
            return jax.vmap(jax.vmap(attend, (None, None, 0, 0)))(query, keys[:, 0], values, valid)
        return jax.vmap(jax.vmap(attend, (None, 0, 0, 0)))(query, keys, values, valid)

    def _previous(self, masks: Array | None, fine: Array, objects: tuple[int, int]) -> Array:
        """The masks of the frame before, `[N * K, H, W, E]`; 0 if not known.

        `fine` is what was read at stride 2, `objects` (N, K).
        """
        n, k = objects
        height, width = FINE * fine.shape[1], FINE * fine.shape[2]
        if masks is None:
            masks = jnp.zeros((n, k, height, width))
        return self._memory_inputs(masks.astype(fine.dtype), None).reshape(n * k, height, width, -1)

    def example_inputs(self, side: int) -> tuple[Array, ...]:
        """Zeros for `__call__` that touch every parameter."""
        return jnp.zeros((1, side, side, 3)), jnp.zeros((1, 1, side, side))

    def __call__(self, frame: Array, masks: Array) -> Array:
        """Memorises `frame` with `masks` and segments it again: touches every parameter once."""
        keys, values = self.memorise(frame, masks)
        valid = jnp.ones((*masks.shape[:2], 1), bool)
        return self.segment(self.query(frame), keys[:, :, None], values[:, :, None], valid)


def _others(whole: Array, own: Array) -> Array:
    """Sum of `whole` `[N, L, H, W]` without `own` `[N, K, H, W]`, at most 1."""
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

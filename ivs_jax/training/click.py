"""What click networks are trained on: BRS, f-BRS, RITM and the small one that ships.

A sample is a window with its object and first clicks. Networks that see the mask of the previous
click are also trained on corrections: before the step they answer a few times themselves, and after
each answer a click goes to its largest error (iterative training of RITM).
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ivs_jax.data.click_samples import ClickBatch
from ivs_jax.interaction.maps import encode_clicks
from ivs_jax.interaction.sampling import error_clicks, sample_clicks
from ivs_jax.models import model_named
from ivs_jax.models.brs import ClickConfig, ClickOutput
from ivs_jax.models.hrnet import HRNetConfig
from ivs_jax.training.groups import group_of
from ivs_jax.training.losses import binary_cross_entropy, normalised_focal, soft_iou
from ivs_jax.training.metrics import hard_iou
from ivs_jax.training.network_task import NetworkTask
from ivs_jax.training.synthetic import drifting_ellipses
from ivs_jax.training.task import Batch, Metrics, Tree, as_input, measured_statistics
from ivs_jax.types import Clicks

ITERATIVE, PLAIN = (0, 0, 1, 1, 2), (0,)
AUXILIARY = 0.4  # weight of coarse or auxiliary logits (f-BRS, RITM; ours too)
ALPHA = 0.5  # of f-BRS's focal loss, for object and background alike


@dataclass(frozen=True)
class ClickTask(NetworkTask):
    """Training of a click network; a `training.task.Task`.

    The encoders' normalisations keep the statistics of ImageNet. f-BRS and RITM were trained with
    those of each batch; here theirs are measured once, see `measured`. Gains and offsets are
    trained except in a MobileNet.

    Attributes:
      network: registered name of a click network.
      side: of the square windows in pixels, a multiple of 32.
      capacity: slots for clicks in a sample, first ones and corrections together.
      corrections: counts of corrections, one of which is drawn for each step; None for (0, 0, 1, 1,
        2) where the network sees the previous mask, and for none (as f-BRS; BRS's are not known)
        where it does not.
    """

    network: str = "click-small"
    side: int = 192
    capacity: int = 16
    corrections: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        model_named(self.network, kind="click")
        if not hasattr(self._net, "predict"):
            raise ValueError(f"{self.network} is trained by another task: it takes no click maps")
        if self.side % 32:
            raise ValueError(f"side: expected a multiple of 32, found {self.side}")
        if self.corrections is not None and min(self.corrections, default=-1) < 0:
            raise ValueError(f"corrections: expected counts of 0 or more, found {self.corrections}")

    @property
    def _brs(self) -> bool:
        config = self._net.config
        return isinstance(config, ClickConfig) and config.published

    @property
    def groups(self) -> tuple[str, ...]:
        """See `Task`. "fine" is BRS's fine decoder, published with 100 times the rate of all."""
        return ("encoder", "decoder", "fine") if self._brs else ("encoder", "decoder")

    def group(self, path: tuple[str, ...]) -> str:
        """See `Task`."""
        if self._brs and path[0] == "fine":
            return "fine"
        mobile = getattr(self._net.config, "backbone", "") == "mobilenet_v1"
        return group_of(path, norms=not mobile)

    def measured(self, variables: Tree, batch: Batch) -> Tree:
        """See `Task`; `batch` should have eight samples or more, for norms behind global means."""
        image = as_input(batch.image, jnp.float32)
        previous = jnp.zeros(image.shape[:3])
        measure = jax.jit(partial(measured_statistics, self._net))
        return measure(variables, image, self._maps(batch.clicks, jnp.float32), previous)

    def example(self, batch: int, rng: np.random.Generator) -> ClickBatch:
        """See `Task`."""
        images, labels = drifting_ellipses(rng, count=batch, frames=1, side=self.side, objects=1)
        clicks = [sample_clicks(x[0], (1,), rng, capacity=self.capacity) for x in labels]
        return ClickBatch(
            images[:, 0],
            labels[:, 0].astype(np.int8),
            Clicks(np.stack([c.xy for c in clicks]), np.stack([c.label for c in clicks])),
            rng.integers(2**32, size=batch, dtype=np.uint32),
        )

    def loss(
        self, params: Tree, stats: Tree, batch: ClickBatch, *, key: Array, dtype: Any
    ) -> tuple[Array, Metrics]:
        """See `Task`."""
        out = self._predicted(params, stats, batch, key, dtype)
        truth = jnp.asarray(batch.truth)
        iou = jnp.mean(hard_iou(out.logits > 0, truth))
        return jnp.mean(self._terms(out, truth)), {"iou": iou}

    def answer(self, params: Tree, stats: Tree, batch: ClickBatch, *, key: Array) -> Array:
        """See `Task`."""
        out = self._predicted(params, stats, batch, key, jnp.float32)
        return (out.logits > 0).astype(jnp.uint8)

    def _predicted(
        self, params: Tree, stats: Tree, batch: ClickBatch, key: Array, dtype: Any
    ) -> ClickOutput:
        """Logits after the corrections of this step, float32."""
        image, variables = as_input(batch.image, dtype), {"params": params, "batch_stats": stats}
        clicks, previous = self._corrected(variables, batch, image, key)
        out: Any = self._net.apply(variables, image, self._maps(clicks, dtype), previous)
        return ClickOutput(*(x.astype(jnp.float32) for x in out))

    def _terms(self, out: ClickOutput, truth: Array) -> Array:
        """Loss of each sample, `[N]`."""
        if self._brs:  # weights of the two are not known
            return binary_cross_entropy(out.logits, truth) + binary_cross_entropy(out.coarse, truth)
        if isinstance(self._net.config, ClickConfig):
            coarse = AUXILIARY * normalised_focal(out.coarse, truth)
            overlap = soft_iou(jax.nn.sigmoid(out.logits), truth)
            return normalised_focal(out.logits, truth) + coarse + overlap
        focal = ALPHA * normalised_focal(out.logits, truth)
        if isinstance(self._net.config.body, HRNetConfig):
            return focal + AUXILIARY * binary_cross_entropy(out.coarse, truth)
        return focal

    def _corrected(
        self, variables: Tree, batch: ClickBatch, image: Array, key: Array
    ) -> tuple[Clicks, Array]:
        """Clicks and previous masks `[N, S, S]` after as many corrections as `key` says."""
        clicks = Clicks(*(jnp.asarray(x) for x in batch.clicks))
        previous = jnp.zeros(image.shape[:3], image.dtype)
        counts = self.corrections
        if counts is None:
            counts = ITERATIVE if self._net.config.previous else PLAIN
        if max(counts) == 0:
            return clicks, previous
        variables = lax.stop_gradient(variables)
        features = self._net.apply(variables, image, method="encode")
        keys, truth = jax.vmap(jax.random.key)(jnp.asarray(batch.seed)), jnp.asarray(batch.truth)

        def correct(i: Array, state: tuple[Clicks, Array]) -> tuple[Clicks, Array]:
            clicks, previous = state
            maps = self._maps(clicks, image.dtype)
            out: Any = self._net.apply(variables, features, maps, previous, method="predict")
            probability = jax.nn.sigmoid(out.logits.astype(jnp.float32))
            own = jax.vmap(jax.random.fold_in, (0, None))(keys, i)
            clicks = jax.vmap(_with_error_click)(clicks, probability, truth, own)
            return clicks, probability.astype(image.dtype)

        return lax.fori_loop(
            0, jax.random.choice(key, jnp.array(counts)), correct, (clicks, previous)
        )

    def _maps(self, clicks: Clicks, dtype: Any) -> Array:
        size, config = (self.side, self.side), self._net.config
        encode = partial(encode_clicks, size=size, encoding=config.maps, radius=config.radius)
        return jax.vmap(encode)(Clicks(*map(jnp.asarray, clicks))).astype(dtype)


def _with_error_click(clicks: Clicks, probability: Array, truth: Array, key: Array) -> Clicks:
    """`error_clicks` of one sample, with randomness of its own."""
    batched = Clicks(clicks.xy[None], clicks.label[None])
    found = error_clicks(batched, probability[None], truth[None], key)
    return Clicks(found.xy[0], found.label[0])

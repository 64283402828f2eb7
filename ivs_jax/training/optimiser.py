"""Adam with two learning rates, clipped gradients and frozen parts."""

from typing import Any

import jax
import optax
from flax import traverse_util

ENCODERS = ("encoder", "memory_encoder", "query_encoder")


def group_of(path: tuple[str, ...]) -> str:
    """The learning-rate group of a parameter: "frozen", "encoder" or "decoder".

    Depthwise kernels and norms of pretrained encoders stay frozen: they are under 3 % of its
    parameters, and on CPU their gradients cost as much as all others together.
    """
    if path[0] not in ENCODERS or path[1] == "stem_extra":
        return "decoder"
    frozen = "depthwise" in path or any(part.endswith("_norm") for part in path)
    return "frozen" if frozen else "encoder"


def freeze(params: Any) -> Any:
    """Cuts the gradient of the frozen parameters, so that it is never computed."""
    flat = traverse_util.flatten_dict(params)
    cut = {k: jax.lax.stop_gradient(v) if group_of(k) == "frozen" else v for k, v in flat.items()}
    return traverse_util.unflatten_dict(cut)


def make_optimiser(
    encoder_rate: float, decoder_rate: float, *, clip: float = 1.0
) -> optax.GradientTransformation:
    """Adam per group; updates are scaled by the schedule's factor in the training step."""
    groups = {
        "encoder": optax.adam(encoder_rate),
        "decoder": optax.adam(decoder_rate),
        "frozen": optax.set_to_zero(),
    }

    def labels(params: Any) -> Any:
        flat = traverse_util.flatten_dict(params)
        return traverse_util.unflatten_dict({k: group_of(k) for k in flat})

    return optax.chain(optax.clip_by_global_norm(clip), optax.multi_transform(groups, labels))

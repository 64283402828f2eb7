"""MobileNetV1 encoder (Howard et al., 2017) with taps at strides 2, 4, 8 and 16.

The RGB part of the stem is a method of its own, `embed`, so that it is computed once per image;
further input channels (clicks, masks) have their own stem kernel that starts at zero, like the
mask stems of STM. Weights are ImageNet's in the layout of Keras (`load_keras`): "SAME" padding as
in TensorFlow, ReLU6, batch-norm epsilon 1e-3, input scaled to [-1, 1].
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import numpy as np
from jax import Array

from ivs_jax.models.layers import Conv, Depthwise, FrozenBatchNorm, block_output

# Output channels and stride of the depthwise-pointwise blocks 1..13 at width 1.0.
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1),
    (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
EPSILON = 1e-3


class MobileNetV1(nn.Module):
    """`embed(image)` then `__call__(embedded, extra)`.

    Attributes:
      depth: number of depthwise-pointwise blocks; 11 ends at stride 16 with 512 channels.
      extra: whether further input channels are given.
    """

    depth: int = 11
    extra: bool = False

    def setup(self) -> None:
        self.stem = Conv(32, (3, 3), (2, 2), use_bias=False)
        if self.extra:
            self.stem_extra = Conv(
                32, (3, 3), (2, 2), use_bias=False, kernel_init=nn.initializers.zeros
            )
        self.stem_norm = FrozenBatchNorm(epsilon=EPSILON)
        self.blocks = [_Block(features, stride) for features, stride in BLOCKS[: self.depth]]

    def embed(self, image: Array) -> Array:
        """`[N, H, W, 3]` in [0, 1] -> RGB part of the first layer `[N, H/2, W/2, 32]`."""
        return self.stem(2 * image - 1)

    def __call__(self, embedded: Array, extra: Array | None = None) -> dict[int, Array]:
        """Returns the last features of each stride: `{2: .., 4: .., 8: .., 16: ..}`.

        `extra` `[N, H, W, E]` are the further input channels, at the size of the image.
        """
        if extra is not None:
            embedded = embedded + self.stem_extra(extra)
        x, stride, features = nn.relu6(self.stem_norm(embedded)), 2, {}
        for block in self.blocks:
            stride *= block.stride
            x = block(x)
            features[stride] = x
        return features


class _Block(nn.Module):
    features: int
    stride: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = Depthwise(self.stride, name="depthwise")(x)
        x = nn.relu6(FrozenBatchNorm(epsilon=EPSILON, name="depthwise_norm")(x))
        x = Conv(self.features, (1, 1), use_bias=False, name="pointwise")(x)
        x = nn.relu6(FrozenBatchNorm(epsilon=EPSILON, name="pointwise_norm")(x))
        return block_output(x)


def load_keras(variables: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Fills the `params` and `batch_stats` of a MobileNetV1 with ImageNet weights.

    `arrays` has Keras names: `conv1/kernel`, `conv_dw_1/depthwise_kernel`, `conv_pw_1_bn/gamma`
    and so on. Kernels of extra channels stay as they are. Raises ValueError naming the array
    that is missing or of another shape.
    """

    def take(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name not in arrays:
            raise ValueError(f"MobileNet weights: array {name!r} is missing")
        value = np.asarray(arrays[name], np.float32)
        if value.size != np.prod(shape):
            raise ValueError(f"MobileNet weights: {name!r} is {value.shape}, expected {shape}")
        return value.reshape(shape)

    params: dict[str, Any] = dict(variables["params"])
    stats: dict[str, Any] = dict(variables["batch_stats"])

    def norm(name: str, like: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        shape = like["scale"].shape
        names = (
            {"scale": "gamma", "bias": "beta"},
            {"mean": "moving_mean", "variance": "moving_variance"},
        )
        return tuple({k: take(f"{name}/{v}", shape) for k, v in part.items()} for part in names)  # type: ignore[return-value]

    params["stem"] = {"kernel": take("conv1/kernel", params["stem"]["kernel"].shape)}
    params["stem_norm"], stats["stem_norm"] = norm("conv1_bn", params["stem_norm"])
    for number in range(1, sum(name.startswith("blocks_") for name in params) + 1):
        key = f"blocks_{number - 1}"
        block, block_stats = dict(params[key]), dict(stats[key])
        for part, short in (("depthwise", "dw"), ("pointwise", "pw")):
            keras = f"conv_{short}_{number}"
            kernel = f"{keras}/depthwise_kernel" if part == "depthwise" else f"{keras}/kernel"
            block[part] = {"kernel": take(kernel, block[part]["kernel"].shape)}
            block[f"{part}_norm"], block_stats[f"{part}_norm"] = norm(
                f"{keras}_bn", block[f"{part}_norm"]
            )
        params[key], stats[key] = block, block_stats
    return {"params": params, "batch_stats": stats}

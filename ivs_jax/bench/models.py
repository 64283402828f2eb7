"""Forward speed of STM's ResNet-50 against the same network in PyTorch, on CPU, in one run.

    ivs bench models --against torch

What runs for every frame of a video, whatever is in the memory: the query encoder with its keys and
values, and the decoder, at 480 x 864 with random weights. Both sides hold the same tensors, and
their outputs are compared before anything is timed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ivs_jax.bench.clock import timed
from ivs_jax.models import model_named, variable_shapes
from ivs_jax.models.resnet import IMAGENET_MEAN, IMAGENET_STD
from ivs_jax.weights.convert import convert, table_of

NAME = "stm-resnet50"
SIZE = (480, 864)
ROUNDS = 7


class Comparison(NamedTuple):
    """Fastest seconds of a frame on either side, and the largest relative difference."""

    ours: float
    torch: float
    threads: int
    difference: float

    @property
    def ratio(self) -> float:
        """Our time over PyTorch's: below 1 ours is faster."""
        return self.ours / self.torch


def run_models(size: tuple[int, int] = SIZE, *, rounds: int = ROUNDS) -> Comparison:
    """Times both networks in turns. Raises ValueError if PyTorch is not installed."""
    try:
        import torch
    except ImportError as error:
        raise ValueError("--against torch needs PyTorch: pip install 'ivs_jax[torch]'") from error

    arrays = _random_checkpoint()
    image = np.random.default_rng(0).random((1, *size, 3), np.float32)
    ours, theirs = _ours(arrays, image), _torchs(arrays, image)
    expected = theirs()
    difference = float(np.abs(ours() - expected).max() / np.abs(expected).max())
    times: list[tuple[float, float]] = []
    for _ in range(rounds):  # in turns, so that both see the same machine
        times.append((timed(ours)[1], timed(theirs)[1]))
    fastest = np.min(times, axis=0)
    return Comparison(float(fastest[0]), float(fastest[1]), torch.get_num_threads(), difference)


def _random_checkpoint() -> dict[str, np.ndarray]:
    """A checkpoint in the published layout, filled at random so that activations stay moderate."""
    model, rng = model_named(NAME), np.random.default_rng(0)
    variables = variable_shapes(model)
    shapes = {
        "/".join(part.key for part in path): leaf.shape
        for path, leaf in jax.tree_util.tree_leaves_with_path(variables)
    }
    arrays: dict[str, np.ndarray] = {}
    for entry in table_of(NAME).entries:
        shape = shapes[entry.target]
        if entry.layout == "conv":
            kh, kw, inputs, outputs = shape
            each = inputs // len(entry.sources)
            for source in entry.sources:
                noise = rng.standard_normal((outputs, each, kh, kw), np.float32)
                arrays[source] = noise * np.float32(np.sqrt(2 / (inputs * kh * kw)))
        elif entry.target.endswith(("scale", "variance")):
            closing = "norm3" in entry.target and entry.target.endswith("scale")
            arrays[entry.sources[0]] = np.full(shape, 0.3 if closing else 1.0, np.float32)
        else:
            arrays[entry.sources[0]] = 0.05 * rng.standard_normal(shape, np.float32)
    return arrays


def _ours(arrays: dict[str, np.ndarray], image: np.ndarray) -> Callable[[], np.ndarray]:
    net, variables = model_named(NAME).build(), jax.device_put(convert(NAME, arrays))

    def frame(net: Any, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        query = net.query(image)
        read = jnp.concatenate([query.value, query.value], -1)  # in the place of the memory's
        return net.decoder(read, query.r3, query.r2), query.key

    run = jax.jit(lambda variables, image: net.apply(variables, image, method=frame))
    return lambda: np.asarray(jax.block_until_ready(run(variables, image))[0])


def _torchs(arrays: dict[str, np.ndarray], image: np.ndarray) -> Callable[[], np.ndarray]:
    """The same in PyTorch's own functions, channels last as it recommends on CPU."""
    import torch
    from torch.nn import functional as F

    tensors: dict[str, Any] = {}
    for name, value in arrays.items():
        tensor = torch.from_numpy(value)
        if tensor.ndim == 4:
            tensor = tensor.to(memory_format=torch.channels_last)
        tensors[name] = tensor

    def conv(name: str, x: Any, stride: int = 1, padding: int = 1) -> Any:
        bias = tensors.get(f"{name}.bias")
        return F.conv2d(x, tensors[f"{name}.weight"], bias, stride, padding)

    def norm(name: str, x: Any) -> Any:
        mean, variance = tensors[f"{name}.running_mean"], tensors[f"{name}.running_var"]
        return F.batch_norm(x, mean, variance, tensors[f"{name}.weight"], tensors[f"{name}.bias"])

    def bottleneck(name: str, x: Any, stride: int) -> Any:
        y = F.relu(norm(f"{name}.bn1", conv(f"{name}.conv1", x, padding=0)))
        y = F.relu(norm(f"{name}.bn2", conv(f"{name}.conv2", y, stride)))
        y = norm(f"{name}.bn3", conv(f"{name}.conv3", y, padding=0))
        if f"{name}.downsample.0.weight" in tensors:
            x = norm(f"{name}.downsample.1", conv(f"{name}.downsample.0", x, stride, 0))
        return F.relu(x + y)

    def block(name: str, x: Any) -> Any:
        return x + conv(f"{name}.conv2", F.relu(conv(f"{name}.conv1", F.relu(x))))

    def up(x: Any, factor: int) -> Any:
        return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    def refine(name: str, skip: Any, coarse: Any) -> Any:
        skip = block(f"{name}.ResFS", conv(f"{name}.convFS", skip))
        return block(f"{name}.ResMM", skip + up(coarse, 2))

    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    pixels = torch.from_numpy(image).permute(0, 3, 1, 2)  # channels last in memory already

    def frame() -> np.ndarray:
        with torch.inference_mode():
            x = conv("Encoder_Q.conv1", (pixels - mean) / std, 2, 3)
            x = F.max_pool2d(F.relu(norm("Encoder_Q.bn1", x)), 3, 2, 1)
            taps = []
            for stage, depth in (("res2", 3), ("res3", 4), ("res4", 6)):
                for i in range(depth):
                    stride = 2 if i == 0 and stage != "res2" else 1
                    x = bottleneck(f"Encoder_Q.{stage}.{i}", x, stride)
                taps.append(x)
            conv("KV_Q_r4.Key", x)  # computed for every frame, though nothing here reads it
            value = conv("KV_Q_r4.Value", x)
            y = block("Decoder.ResMM", conv("Decoder.convFM", torch.cat([value, value], 1)))
            y = refine("Decoder.RF2", taps[0], refine("Decoder.RF3", taps[1], y))
            return up(conv("Decoder.pred2", F.relu(y)), 4).permute(0, 2, 3, 1).numpy()

    return frame

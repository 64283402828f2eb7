"""The published STM against its stored outputs, STM-Interactive against PyTorch.

Both networks get their weights through the converter, from state dicts filled by rule.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ivs_jax.models import model_named
from ivs_jax.models.stm import STRIDE, labels_logits
from ivs_jax.ops.padding import pad_image, padded_sides, unpad_image
from ivs_jax.weights.convert import convert
from tests.synthetic import GOLDENS, relative_error, state_dict

TOLERANCE = 1e-4


def pad(x):
    """Zero-pads `[..., H, W, C]` to multiples of 16."""
    return pad_image(x, padded_sides(*x.shape[-3:-1], STRIDE))


def memorised(net, variables, frame, masks, scribbles=None):
    """Keys and values of a frame of any size, padded as published."""
    frame, masks = pad(frame), pad(masks[..., None])[..., 0]
    if scribbles is not None:
        scribbles = pad(scribbles[..., None])[..., 0]
    return net.apply(variables, frame, masks, scribbles, method="memorise")


def segmented(net, variables, frame, keys, values, valid):
    """Soft-aggregated logits `[N, H, W, K + 1]` and what the query encoder made of the frame."""

    def encoded(net, frame):
        return net.query_encoder(net.query_encoder.embed(frame))

    features = net.apply(variables, pad(frame), method=encoded)
    query = net.apply(variables, pad(frame), method="query")
    alone = net.apply(variables, query, keys, values, valid, method="segment")
    alone = unpad_image(alone[..., None], frame.shape[1:3])[..., 0]
    return labels_logits(alone, clamp=net.config.clamp), features


def check_labels(got, want):
    """Compares logits of labels, slots first, and the probabilities they stand for.

    The published formula rounds probabilities near 1 in float32, a few steps of 2^-24 on both
    sides, and a logit of x magnifies that by exp(x): from about 9 on more than the tolerance.
    """
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    rounding = 4 * 2.0**-24 * np.exp(want)
    excess = np.maximum(np.abs(got - want) - rounding, 0)
    assert excess.max() < TOLERANCE * np.abs(want).max()
    assert relative_error(1 / (1 + np.exp(-got)), 1 / (1 + np.exp(-want))) < TOLERANCE


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    """The stored case run by our network: slots 0 (background) and 3 (no object) are unused."""
    stored = np.load(GOLDENS / "stm.npz")
    net = model_named("stm-resnet50").build()
    variables = convert("stm-resnet50", state_dict("stm"))
    frames = stored["frames"].transpose(0, 2, 3, 1)

    @jax.jit
    def run(variables, frames, masks):
        keys, values = memorised(net, variables, frames[:2], masks)
        # Frames of the batch become frames of the memory, and one more slot has no object.
        keys, values = (jnp.moveaxis(x, 0, 1)[None] for x in (keys, values))
        spare = ((0, 0), (0, 1)) + ((0, 0),) * 4
        keys, values = jnp.pad(keys, spare), jnp.pad(values, spare)
        valid = jnp.broadcast_to(jnp.array([True, True, False])[None, :, None], (1, 3, 2))
        logits, features = segmented(net, variables, frames[2:], keys, values, valid)
        return keys, values, logits, features

    objects = int(stored["num_objects"])
    assert objects == 2
    keys, values, logits, features = run(variables, frames, stored["masks"][:, 1 : objects + 1])
    got = {f"query_r{n}": features[2**n] for n in (4, 3, 2)} | {"logits": logits}
    got = {name: np.moveaxis(np.asarray(x), -1, 1) for name, x in got.items()}
    for name, x in (("keys", keys), ("values", values)):
        got[name] = np.asarray(x).transpose(0, 1, 5, 2, 3, 4)
    return {"got": got, "stored": stored}


@pytest.mark.parametrize("name", ["keys", "values"])
def test_memory_equals_the_stored_one(published, name):
    got, stored = published["got"][name], published["stored"][name]
    assert not stored[:, [0, 3]].any()  # the background and the spare slot hold nothing
    assert not got[:, 2].any()
    assert relative_error(got, stored[:, 1:]) < TOLERANCE


@pytest.mark.parametrize("name", ["query_r4", "query_r3", "query_r2"])
def test_query_encoder_equals_the_stored_one(published, name):
    assert relative_error(published["got"][name], published["stored"][name]) < TOLERANCE


def test_logits_of_all_slots_equal_the_stored_ones(published):
    got, stored = published["got"]["logits"], published["stored"]["logits"]
    assert got.shape == stored.shape == (1, 4, 70, 100)
    check_labels(got, stored)
    spare = np.log(1e-7) - np.log1p(-1e-7)
    np.testing.assert_allclose(stored[:, 3], spare, rtol=1e-5)
    np.testing.assert_allclose(got[:, 3], spare, rtol=1e-5)


class Reference:
    """STM-Interactive in PyTorch on the published names, one object at a time.

    See experiments/papers/stm.md, section 7.
    """

    def __init__(self, torch: Any, arrays: dict[str, np.ndarray]):
        self._torch, self._f = torch, torch.nn.functional
        self._w = {name: torch.from_numpy(value) for name, value in arrays.items()}

    def conv(self, name, x, stride=1):
        weight, bias = self._w[f"{name}.weight"], self._w.get(f"{name}.bias")
        return self._f.conv2d(x, weight, bias, stride, weight.shape[-1] // 2)

    def norm(self, name, x):
        parts = ("running_mean", "running_var", "weight", "bias")
        return self._f.batch_norm(x, *(self._w[f"{name}.{part}"] for part in parts), eps=1e-5)

    def bottleneck(self, name, x, stride):
        y = self.norm(f"{name}.bn1", self.conv(f"{name}.conv1", x)).relu()
        y = self.norm(f"{name}.bn2", self.conv(f"{name}.conv2", y, stride)).relu()
        y = self.norm(f"{name}.bn3", self.conv(f"{name}.conv3", y))
        if f"{name}.downsample.0.weight" in self._w:
            x = self.norm(f"{name}.downsample.1", self.conv(f"{name}.downsample.0", x, stride))
        return (x + y).relu()

    def encoder(self, name, frame, **maps):
        """Features at strides 4, 8 and 16; `maps` enter through the stem `conv1_<key>`."""
        x = (frame - self._w[f"{name}.mean"]) / self._w[f"{name}.std"]
        x = self.conv(f"{name}.conv1", x, 2)
        for key, value in maps.items():
            x = x + self.conv(f"{name}.conv1_{key}", value[:, None], 2)
        x = self._f.max_pool2d(self.norm(f"{name}.bn1", x).relu(), 3, 2, 1)
        features = []
        for stage, blocks in (("res2", 3), ("res3", 4), ("res4", 6)):
            for i in range(blocks):
                stride = 2 if i == 0 and stage != "res2" else 1
                x = self.bottleneck(f"{name}.{stage}.{i}", x, stride)
            features.append(x)
        return features

    def memorise(self, frame, mask, own, others):
        """Key and value `[N, C, h, w]` of one object."""
        r4 = self.encoder("Encoder_M", frame, m=mask, p=own, n=others)[-1]
        return self.conv("KeyValue_M.Key", r4), self.conv("KeyValue_M.Value", r4)

    def residual(self, name, x):
        return x + self.conv(f"{name}.conv2", self.conv(f"{name}.conv1", x.relu()).relu())

    def enlarge(self, x, factor):
        return self._f.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)

    def refine(self, name, skip, coarse):
        fine = self.residual(f"{name}.ResFS", self.conv(f"{name}.convFS", skip))
        return self.residual(f"{name}.ResMM", fine + self.enlarge(coarse, 2))

    def segment(self, frame, keys, values):
        """Probability `[H, W]` of the object whose memory is `[C, T, h, w]`."""
        r2, r3, r4 = self.encoder("Encoder_Q", frame)
        key, value = self.conv("KeyValue_Q.Key", r4)[0], self.conv("KeyValue_Q.Value", r4)
        scores = keys.flatten(1).T @ key.flatten(1) / np.sqrt(len(key))
        read = (values.flatten(1) @ scores.softmax(0)).reshape(value.shape)
        x = self._torch.cat([read, value], 1)
        x = self.residual("Decoder.ResMM", self.conv("Decoder.convFM", x))
        x = self.refine("Decoder.RF2", r2, self.refine("Decoder.RF3", r3, x))
        logits = self.enlarge(self.conv("Decoder.pred2", x.relu()), 4)
        return logits.double().softmax(1)[0, 1]

    def labels(self, alone):
        """Soft aggregation of `[K, H, W]`: background and objects, `[K + 1, H, W]` logits."""
        p = self._torch.cat([(1 - alone).prod(0, keepdim=True), alone])
        p = p.clamp(1e-7, float(np.float32(1 - 1e-7)))
        return (p / (1 - p)).log()


@pytest.fixture(scope="module")
def interactive() -> dict[str, Any]:
    """Two frames with masks and scribbles of two objects memorised, a third segmented."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    frames = rng.uniform(0, 1, (3, 64, 96, 3)).astype("f4")
    masks = rng.uniform(0, 0.5, (2, 2, 64, 96)).astype("f4")
    drawn = rng.integers(0, 12, (2, 64, 96))  # ids 0..2 are strokes, the rest is nothing
    scribbles = (drawn[:, None] == np.arange(3)[None, :, None, None]).astype("f4")
    arrays = state_dict("stm_interactive")

    def theirs():
        t = {"f": frames.transpose(0, 3, 1, 2), "m": masks, "s": scribbles}
        t = {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in t.items()}
        reference = Reference(torch, arrays)
        keys, values, alone = [], [], []
        for k in (1, 2):
            others = sum(t["s"][:, j] for j in range(3) if j != k)
            key, value = reference.memorise(t["f"][:2], t["m"][:, k - 1], t["s"][:, k], others)
            keys.append(key)
            values.append(value)
            memory = (key.transpose(0, 1), value.transpose(0, 1))
            alone.append(reference.segment(t["f"][2:], *memory))
        labels = reference.labels(torch.stack(alone))
        return [x.numpy() for x in (torch.stack(keys), torch.stack(values), labels)]

    net = model_named("stm-interactive").build()

    @jax.jit
    def ours(variables, scribbles):
        keys, values = memorised(net, variables, frames[:2], masks, scribbles)
        keys, values = (jnp.moveaxis(x, 0, 1)[None] for x in (keys, values))
        valid = jnp.ones((1, 2, 2), bool)
        logits, _ = segmented(net, variables, frames[2:], keys, values, valid)
        parts = jnp.moveaxis(keys[0], -1, 2), jnp.moveaxis(values[0], -1, 2)
        return *parts, jnp.moveaxis(logits[0], -1, 0)

    variables = convert("stm-interactive", arrays)
    with torch.no_grad():
        want = dict(zip(("keys", "values", "logits"), theirs(), strict=True))
    got = dict(zip(want, ours(variables, scribbles), strict=True))
    blank = dict(zip(want, ours(variables, np.zeros_like(scribbles)), strict=True))
    return {"got": got, "want": want, "blank": blank}


@pytest.mark.parametrize("name", ["keys", "values", "logits"])
def test_interactive_network_equals_pytorch(interactive, name):
    got, want = interactive["got"][name], interactive["want"][name]
    if name == "logits":
        check_labels(got, want)
    else:
        assert relative_error(got, want) < TOLERANCE
    # The scribbles must matter for this to say anything about their stems.
    assert relative_error(interactive["blank"][name], want) > 1e-2


def test_the_unused_stem_of_the_interactive_file_is_ignored_and_others_are_not():
    arrays = state_dict("stm_interactive")
    arrays["Encoder_M.conv1_om.weight"] = np.zeros((1,), "f4")
    convert("stm-interactive", arrays)
    with pytest.raises(ValueError, match="Encoder_M.conv1_n.weight is missing"):
        convert("stm-interactive", {k: v for k, v in arrays.items() if ".conv1_n." not in k})
    with pytest.raises(ValueError, match="not stm-resnet50: tensor .* it looks like stm-inter"):
        convert("stm-resnet50", arrays)

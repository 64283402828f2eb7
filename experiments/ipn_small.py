"""ipn-small: clicks or scribbles in, masks of the clip out, small enough for a laptop.

    ivs train experiments/ipn_small.py --data DATA --out runs/ipn_small
    python experiments/release.py runs/ipn_small ivs_jax/weights/released

DATA as for stm_small.py.

Both stages of IPN in one run: clips of two frames, mostly of stills, first with one round, then
with two; then clips of four frames, mostly real. A third of the scribbles are reduced to a click
and references are made from masks, because sessions do both.

The shipped weights: 2,580 of the 3,000 steps of 4 clips of 256 pixels, in 89 minutes on less than
one core of a two-core AMD EPYC (other work on the machine). On 6 held-out DAVIS-2016 training
sequences: J 0.702 and F 0.740 from the true first mask; J&F 0.722 after the first round of robot
scribbles and 0.755 after the eighth. The loss was still falling.
"""

from dataclasses import replace

from ivs_jax.data.clip_samples import ClipSamples
from ivs_jax.data.scribble_samples import ScribbleSamples
from ivs_jax.data.sets import Davis, Stills
from ivs_jax.training.ipn import IPNTask
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe, Stage

SIDE = 256

PAIRS = ClipSamples(
    stills=(
        Stills("stills/coco", cached=True, share=0.45),
        Stills("stills/voc", cached=True, share=0.45),
        Stills("stills/horses", cached=True, share=0.1),
    ),
    clips=(Davis("davis", split="train", resolution="240p", year="2016", cached=True),),
    real=0.3,
    size=SIDE,
    length=2,
)
CLIPS = replace(PAIRS, real=0.7, length=4)
HELD_OUT = replace(
    PAIRS, stills=(), clips=(Davis("davis", split="val", resolution="480p", year="2016"),), real=1.0
)

RECIPE = Recipe(
    "ipn_small",
    IPNTask("ipn-small", side=SIDE, length=2, rounds=1, clicks=0.3, reference="mask"),
    ScribbleSamples(PAIRS),
    held_out=ScribbleSamples(HELD_OUT),
    batch=4,
    steps=3000,
    stages=(Stage(0.6, {"rounds": 2}), Stage(0.85, {"length": 4}, {"clips": CLIPS})),
    optimiser=Optimiser(
        "adam", {"encoder": 2e-4, "decoder": 8e-4}, schedule="cosine", warmup=50, clip=1.0
    ),
    imagenet="weights/mobilenet_v1_1.0_224_imagenet_keras.npz",
    ema=0.995,
    log_every=20,
    validate_every=500,
    save_every=200,
    validation_batches=8,
)

"""IPN, second stage: rounds of scribbles on real clips that grow from 4 frames to 8.

    ivs data build davis2017 --manual-dir DAVIS --data DATA
    ivs train experiments/ipn_main.py --data DATA --out runs/ipn_main --start runs/ipn_pretrain

Hardware and time: not run here. The readable reproduction names none either.
Number: not reached here. Paper's, trained on DAVIS-2017 alone: AUC .555, J@60s .589 on DAVIS-2017
val (a reproducer reached .496 and .521); with its best training: AUC .691, J@60s .734 (a survey's
table).

Published (github seoungwugoh/ivs-demo, issue 5): 4 frames, one more every 20 epochs up to 8; 2
rounds, 3 from 7 frames on. From the readable reproduction (github zyy-cn/IPN;
experiments/papers/ipn.md, section 9.2): DAVIS-2017 as 144 sequences of one object, 500 epochs, one
clip a step, equal steps of at most 4 frames, one more every 20 epochs up to 8, crops of 400 pixels,
rotation, shear and scale of every frame, Adam at 1e-5 that falls at 300 and 400 epochs, weight
decay, gradients clamped to 1. Other than there, a step is taken after all rounds, not after each.
"""

from dataclasses import replace

from ivs_jax.data.clip_samples import ClipSamples, Gaps
from ivs_jax.data.motion import Motion
from ivs_jax.data.scribble_samples import ScribbleSamples
from ivs_jax.data.sets import Built
from ivs_jax.training.ipn import IPNTask
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe, Stage

SIDE, EPOCHS, SEQUENCES = 400, 500, 144

CLIPS = ClipSamples(
    clips=(Built("davis2017/train"),),
    real=1.0,
    size=SIDE,
    length=4,
    # Half of the reproduction's ranges for the clip, half for each frame.
    clip_motion=Motion(rotation=12.5, shear=0.13, scale=0.05, shift=0.05, noise=1.0),
    gaps=Gaps(first=4, grow=1, every=20 * SEQUENCES, most=8, even=True),
)


def stage(length: int) -> Stage:
    """From where on clips have so many frames."""
    return Stage(
        start=20 * (length - 4) / EPOCHS,
        task={"length": length, "rounds": 2 if length < 7 else 3},
        samples={"clips": replace(CLIPS, length=length)},
    )


RECIPE = Recipe(
    "ipn_main",
    IPNTask("ipn", side=SIDE, length=4, rounds=2),
    ScribbleSamples(CLIPS),
    held_out=ScribbleSamples(replace(CLIPS, clips=(Built("davis2017/val"),))),
    batch=1,
    steps=EPOCHS * SEQUENCES,
    stages=tuple(stage(length) for length in (5, 6, 7, 8)),
    optimiser=Optimiser(
        "adam",
        {"encoder": 1e-5, "decoder": 1e-5},
        schedule="steps",
        drops=(0.6, 0.8),
        clamp=1.0,
        weight_decay=5e-4,
    ),
    imagenet="weights/resnet50.pth",
    log_every=100,
    validate_every=2880,
    save_every=500,
    validation_batches=60,
    workers=4,
)

"""IPN, first stage: clips of two frames made of stills, scribbles simulated (the author's account).

    ivs data build voc --manual-dir VOC --data DATA      (also saliency)
    ivs train experiments/ipn_pretrain.py --data DATA --out runs/ipn_pretrain

DATA/weights/resnet50.pth is torchvision's ResNet-50 (ImageNet).

Hardware and time: not run here, and not published.
Number: not reached here, and none is published of this stage alone.

Published (github seoungwugoh/ivs-demo, issue 5): stills of VOC and saliency sets, 2 frames, 2
rounds, both networks end to end. Not published, and chosen here: optimiser (that of the readable
reproduction, with a larger batch), steps, how far a still moves, crops of 400 pixels, 0.3 of the
scribbles with some on the background.
"""

from ivs_jax.data.clip_samples import ClipSamples
from ivs_jax.data.motion import Motion
from ivs_jax.data.scribble_samples import ScribbleSamples
from ivs_jax.data.sets import Built
from ivs_jax.training.ipn import IPNTask
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe

SIDE = 400
STILLS = (Built("voc/train", share=1), Built("saliency/train", share=2))
MOTION = Motion(rotation=20, shear=0.18, scale=0.1, shift=0.1)

RECIPE = Recipe(
    "ipn_pretrain",
    IPNTask("ipn", side=SIDE, length=2, rounds=2),
    ScribbleSamples(ClipSamples(stills=STILLS, real=0.0, size=SIDE, length=2, still_motion=MOTION)),
    held_out=ScribbleSamples(
        ClipSamples(clips=(Built("davis2017/val"),), real=1.0, size=SIDE, length=2)
    ),
    batch=8,
    steps=200_000,
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
    validate_every=5000,
    save_every=1000,
    validation_batches=8,
    workers=4,
)

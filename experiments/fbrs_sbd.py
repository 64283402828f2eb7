"""f-BRS's DeepLabV3+ on ResNet-34, on SBD (Sofiiuk et al. 2020, official training code).

    ivs data build sbd --manual-dir SBD --data DATA
    ivs train experiments/fbrs_sbd.py --data DATA --out runs/fbrs_sbd

DATA/weights/gluon_resnet34_v1b.pth is GluonCV's ResNet-34 (ImageNet) as ported to PyTorch.

Hardware and time: not run here. A user of the original: 10 minutes an epoch on one GTX 1080 Ti.
Number: not reached here. The released network's, with f-BRS-B: NoC@85 / NoC@90 of 2.06 / 2.48 on
GrabCut, 2.40 / 4.17 on Berkeley, 4.47 / 7.28 on SBD, 5.34 / 7.73 on DAVIS (its README).

Published: all of what follows but for these. Crops are here squares of about the area of 320 x 480;
images are drawn evenly, not by the score file that came with the code; the batch norms keep the
statistics measured before the first step.
"""

from ivs_jax.data.augment import Colour
from ivs_jax.data.click_samples import ClickSamples
from ivs_jax.data.crops import Windows
from ivs_jax.data.sets import Built
from ivs_jax.training.click import ClickTask
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe

SIDE, IMAGES, BATCH, EPOCHS = 384, 8498, 28, 120

TRAIN = ClickSamples(
    (Built("sbd/train"),),
    size=SIDE,
    windows=Windows(rescale=(0.75, 1.25)),
    turn=3,
    quarter_turns=True,
    union=0.15,
    least_area=80,
    least_fill=0.08,
    centre=0.0,
)
HELD_OUT = ClickSamples(
    (Built("sbd/val"),), size=SIDE, windows=TRAIN.windows, union=0.0, centre=0.0
)

RECIPE = Recipe(
    "fbrs_sbd",
    ClickTask("fbrs-resnet34", side=SIDE, capacity=TRAIN.capacity),
    TRAIN,
    held_out=HELD_OUT,
    batch=BATCH,
    steps=EPOCHS * IMAGES // BATCH,
    colour=Colour(gain=0.25, contrast=0.3, saturation=0.0, balance=0.04),
    optimiser=Optimiser(
        "adam", {"encoder": 5e-5, "decoder": 5e-4}, schedule="steps", drops=(100 / EPOCHS,)
    ),
    imagenet="weights/gluon_resnet34_v1b.pth",
    log_every=50,
    validate_every=1500,
    save_every=500,
    validation_batches=8,
    workers=4,
)

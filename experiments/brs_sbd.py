"""BRS's DenseNet-121 network on SBD (Jang and Kim 2019).

    ivs data build sbd --manual-dir SBD --data DATA
    ivs train experiments/brs_sbd.py --data DATA --out runs/brs_sbd

DATA/weights/densenet121.caffemodel is the Caffe DenseNet-121 (ImageNet).

Hardware and time: not run here, and not published.
Number: not reached here. Paper's, with BRS: NoC@85 / NoC@90 of 2.60 / 3.60 on GrabCut, - / 5.08 on
Berkeley, 6.59 / 9.78 on SBD, 5.58 / 8.24 on DAVIS.

Published: SBD's 8,498 training images; windows of 480 pixels; cross-entropy of the coarse and the
fine output; batch norms frozen; 100 times the learning rate in the fine decoder. Clicks were
sampled with k-medoids; f-BRS's authors found random ones as good, so they are here Xu's three
strategies. Not published, and chosen here: rate, batch, steps, windows and their colours.
"""

from ivs_jax.data.click_samples import ClickSamples
from ivs_jax.data.crops import Windows
from ivs_jax.data.sets import Built
from ivs_jax.training.click import ClickTask
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe

SIDE, IMAGES, BATCH = 480, 8498, 8

TRAIN = ClickSamples(
    (Built("sbd/train"),),
    size=SIDE,
    windows=Windows(rescale=(0.75, 1.5)),
    union=0.0,
    least_area=80,
    strategy="Xu",
    centre=0.0,
)
HELD_OUT = ClickSamples((Built("sbd/val"),), size=SIDE, union=0.0, strategy="Xu")

RECIPE = Recipe(
    "brs_sbd",
    ClickTask("brs-densenet121", side=SIDE, capacity=TRAIN.capacity),
    TRAIN,
    held_out=HELD_OUT,
    batch=BATCH,
    steps=50 * IMAGES // BATCH,
    optimiser=Optimiser(
        "adam",
        {"encoder": 1e-5, "decoder": 1e-5, "fine": 1e-3},
        schedule="steps",
        drops=(0.6, 0.8),
        clip=10.0,
    ),
    imagenet="weights/densenet121.caffemodel",
    log_every=100,
    validate_every=2000,
    save_every=500,
    validation_batches=16,
    workers=4,
)

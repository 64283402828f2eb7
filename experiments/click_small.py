"""click-small, the click network that ships with the package.

    ivs train experiments/click_small.py --data DATA --out runs/click_small
    python experiments/release.py runs/click_small ivs_jax/weights/released

DATA holds stills/{voc,coco,horses,coco_mval} (images/ and masks/), davis/ in DAVIS's layout and
weights/ with the ImageNet MobileNetV1 arrays of Keras. `--from-released --steps 20000` trains the
shipped weights on.

The shipped weights: 1,696 steps of 10 windows of 192 pixels in 62 minutes on one core of a two-core
AMD EPYC, by the script that this recipe replaces: Adam with a cosine over time, 2e-4 in the encoder
and 1e-3 elsewhere, up to two corrected clicks before a step, normalised focal loss + 0.4 x coarse
loss + soft IoU. NoC@85 on 427 objects of COCO_MVal: 5.37 with BRS, 5.48 without; NoC@90 7.55 and
7.61. The loss was still falling slowly.
"""

from ivs_jax.data.click_samples import ClickSamples
from ivs_jax.data.sets import Davis, Stills
from ivs_jax.training.click import ClickTask
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe

SIDE = 192

TRAIN = ClickSamples(
    (
        Stills("stills/coco", cached=True, share=0.5),
        Stills("stills/voc", cached=True, share=0.32),
        Stills("stills/horses", cached=True, share=0.06),
        Davis(
            "davis", split="train", resolution="240p", year="2016", every=8, cached=True, share=0.12
        ),
    ),
    size=SIDE,
)
HELD_OUT = ClickSamples(
    (
        Stills("stills/coco_mval", share=0.8),
        Davis("davis", split="val", resolution="480p", year="2016", every=8, share=0.2),
    ),
    size=SIDE,
    union=0.0,
)

RECIPE = Recipe(
    "click_small",
    ClickTask("click-small", side=SIDE, capacity=TRAIN.capacity),
    TRAIN,
    held_out=HELD_OUT,
    batch=10,
    steps=1700,
    optimiser=Optimiser(
        "adam", {"encoder": 2e-4, "decoder": 1e-3}, schedule="cosine", warmup=17, clip=1.0
    ),
    imagenet="weights/mobilenet_v1_1.0_224_imagenet_keras.npz",
    log_every=10,
    validate_every=200,
    save_every=100,
    validation_batches=10,
)

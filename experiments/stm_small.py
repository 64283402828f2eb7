"""stm-small, the propagation network that ships with the package.

    ivs train experiments/stm_small.py --data DATA --out runs/stm_small
    python experiments/release.py runs/stm_small ivs_jax/weights/released

DATA holds stills/ (folders of images/ and masks/), clips/ (NAME/frames and NAME/masks), davis/ in
DAVIS's layout and weights/ with the ImageNet MobileNetV1 arrays of Keras. `--from-released --steps
20000` trains the shipped weights on.

The shipped weights: encoder and keys of the first stm-small; 1,550 steps of the first two stages
before the network had its last step at half the size, then 562 steps of `--steps 600` with it, 115
minutes in all on one core of a two-core machine. On 6 held-out DAVIS-2016 training sequences: J
0.819 and F 0.842 from the true first mask, J 0.765 and F 0.776 from three robot clicks. The loss
was still falling.
"""

from ivs_jax.data.augment import Colour
from ivs_jax.data.clip_samples import ClipSamples, Gaps
from ivs_jax.data.crops import Windows
from ivs_jax.data.sets import Clips, Davis, Stills
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe, Stage
from ivs_jax.training.stm import STMTask

SIDE, LARGE = 192, 256

TRAIN = ClipSamples(
    stills=(
        Stills("stills/coco", cached=True, share=0.25),
        Stills("stills/voc", cached=True, share=0.25),
        Stills("stills/ecssd", cached=True, share=0.1),
        Stills("stills/coco_person", cached=True, share=0.1),
        Stills("stills/pennfudan", cached=True, share=0.06),
        Stills("stills/feral_cats", cached=True, share=0.06),
        Stills("stills/coco_mandarina", cached=True, share=0.06),
        Stills("stills/caltech_animals", cached=True, share=0.06),
        Stills("stills/horses", cached=True, share=0.06),
    ),
    clips=(
        Davis("davis", split="train", resolution="240p", year="2016", cached=True, share=0.85),
        Clips("clips", cached=True, share=0.15),
    ),
    real=0.5,
    drawn=0.15,
    size=SIDE,
    length=3,
    still_windows=Windows(whole=0.4, zoom=(1.2, 4.5), magnify=1.8),
    clip_windows=Windows(whole=0.6, frame=(0.4, 0.95), zoom=(1.3, 5.0), magnify=1.6),
)
HELD_OUT = ClipSamples(
    clips=(Davis("davis", split="val", resolution="480p", year="2016"),),
    real=1.0,
    size=LARGE,
    length=5,
    clip_windows=Windows(whole=0.7, frame=(0.5, 0.95), zoom=(1.5, 4.0)),
)

# Short clips at first, mostly of one object; then longer ones, most of them real, with two objects
# in a quarter. The first blocks of the encoder stand still: their gradients cost a third of a step.
RECIPE = Recipe(
    "stm_small",
    STMTask(
        "stm-small", side=SIDE, length=3, objects=1, overlap=0.5, every=2, own=True, frozen_blocks=3
    ),
    TRAIN,
    held_out=HELD_OUT,
    held_out_task={"side": LARGE, "length": 5},
    batch=4,
    steps=2100,
    colour=Colour(sharpen=(-0.4, 0.8)),
    stages=(
        Stage(
            0.4,
            {"side": LARGE, "length": 4},
            {"size": LARGE, "length": 4, "real": 0.65, "gaps": Gaps(first=8)},
        ),
        Stage(
            0.8,
            {"side": LARGE, "length": 5, "objects": 2, "hardest": 0.5},
            {
                "size": LARGE,
                "length": 5,
                "real": 0.6,
                "gaps": Gaps(first=8),
                "objects": (0.6, 0.4),
            },
        ),
    ),
    optimiser=Optimiser(
        "adam", {"encoder": 1e-4, "decoder": 4e-4}, schedule="cosine", warmup=20, clip=1.0
    ),
    imagenet="weights/mobilenet_v1_1.0_224_imagenet_keras.npz",
    ema=0.99,
    log_every=10,
    validate_every=300,
    save_every=50,
    validation_batches=8,
)

"""stm-small, the propagation network that ships with the package.

    ivs train experiments/stm_small.py --data DATA --out runs/stm_small
    python experiments/release.py runs/stm_small ivs_jax/weights/released

DATA holds stills/{voc,coco,horses} (images/ and masks/), davis/ in DAVIS's layout and weights/ with
the ImageNet MobileNetV1 arrays of Keras. `--from-released --steps 20000` trains the shipped weights
on.

The shipped weights: 1,717 steps by the script that this recipe replaced (192 pixels, 59 minutes),
then this recipe as it stands with `--from-released`: 4,000 steps of 4 clips of 3 frames in 94
minutes, each on one core of a two-core AMD EPYC. On 6 held-out DAVIS-2016 training sequences: J
0.775 and F 0.761 from the true first mask, J 0.761 and F 0.746 from three robot clicks. The IoU in
training was still rising until the last stage, whose clips of two objects are harder.
"""

from ivs_jax.data.augment import Colour
from ivs_jax.data.clip_samples import ClipSamples
from ivs_jax.data.crops import Windows
from ivs_jax.data.sets import Part
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe, Stage
from ivs_jax.training.stm import STMTask

SIDE, LARGE = 192, 256

TRAIN = ClipSamples(
    stills=(
        Part("stills:stills/coco?cached=true", 0.45),
        Part("stills:stills/voc?cached=true", 0.45),
        Part("stills:stills/horses?cached=true", 0.1),
    ),
    clips=(Part("davis:davis?split=train&resolution=240p&year=2016&cached=true"),),
    real=0.6,
    size=SIDE,
    still_windows=Windows(whole=0.3, zoom=(1.2, 4.5), magnify=1.8),
    clip_windows=Windows(whole=0.6, frame=(0.4, 0.95), zoom=(1.3, 5.0), magnify=1.6),
)
HELD_OUT = ClipSamples(
    clips=(Part("davis:davis?split=val&resolution=480p&year=2016"),), real=1.0, size=SIDE
)

# One slot for objects halves the cost of a step. The last stage learns to keep two apart; its clips
# of two are made of stills, because DAVIS-2016 has one object a sequence.
RECIPE = Recipe(
    "stm_small",
    STMTask("stm-small", side=SIDE, length=3, objects=1, overlap=0.5),
    TRAIN,
    held_out=HELD_OUT,
    batch=4,
    steps=4000,
    colour=Colour(sharpen=(-0.4, 0.8)),
    stages=(
        Stage(0.55, {"side": LARGE}, {"size": LARGE}),
        Stage(0.85, {"side": SIDE, "objects": 2}, {"size": SIDE, "objects": (0.5, 0.5)}),
    ),
    optimiser=Optimiser(
        "adam", {"encoder": 1e-4, "decoder": 3e-4}, schedule="cosine", warmup=20, clip=1.0
    ),
    imagenet="weights/mobilenet_v1_1.0_224_imagenet_keras.npz",
    ema=0.995,
    log_every=10,
    validate_every=250,
    save_every=50,
    validation_batches=12,
)

"""STM with ResNet-50, second stage: three frames of real videos.

Both stages are in experiments/papers/stm.md, section 3.

    ivs data build davis2017 --manual-dir DAVIS --data DATA      (also youtube_vos)
    ivs train experiments/stm_main.py --data DATA --out runs/stm_main --start runs/stm_pretrain

Without --start it is the paper's "main training only", from ImageNet.

Hardware and time: not run here. Paper: 4 GTX 1080 Ti, about 3 days.
Number: not reached here. Paper's, both stages: J 79.2, F 84.3 on DAVIS-2017 val, 79.4 overall on
YouTube-VOS 2018; main training only: J 38.1, F 47.9 on DAVIS-2017 val.

Published: 260 epochs of 3,771 samples, 4 at a time; between the frames up to 0 are skipped at
first, 5 more every 20 epochs, 25 at most; the short side is a random length from 384 pixels to the
original, the crop 384; Adam at 1e-5, batch norms frozen, masks memorised as they were predicted.
Read into it: 3,771 is the 3,471 sequences of YouTube-VOS and five times the 60 of DAVIS. Not
published, and chosen here: the fall of the rate at four fifths, colours (as in STCN's recipe), one
to three objects.
"""

from ivs_jax.data.augment import Colour
from ivs_jax.data.clip_samples import ClipSamples, Gaps
from ivs_jax.data.crops import Windows
from ivs_jax.data.motion import Motion
from ivs_jax.data.sets import Built
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe
from ivs_jax.training.stm import STMTask

SIDE, EPOCH, BATCH = 384, 3771, 4
STILL = Motion(rotation=0, shear=0, scale=0, shift=0, noise=0)  # the frames move by themselves

RECIPE = Recipe(
    "stm_main",
    STMTask("stm-resnet50", side=SIDE, length=3, objects=3),
    ClipSamples(
        clips=(Built("youtube_vos/train", share=3471), Built("davis2017/train", share=300)),
        real=1.0,
        size=SIDE,
        objects=(1, 1, 1),
        clip_windows=Windows(rescale=(0.7, 1.0)),
        clip_motion=STILL,
        gaps=Gaps(first=1, grow=5, every=20 * EPOCH, most=26),
    ),
    held_out=ClipSamples(
        clips=(Built("davis2017/val"),),
        real=1.0,
        size=SIDE,
        objects=(1, 1, 1),
        clip_motion=STILL,
    ),
    batch=BATCH,
    steps=260 * EPOCH // BATCH,
    colour=Colour(gain=0.1, contrast=0.05, saturation=0.05, balance=0.05),
    optimiser=Optimiser("adam", {"encoder": 1e-5, "decoder": 1e-5}, schedule="steps", drops=(0.8,)),
    imagenet="weights/resnet50.pth",
    log_every=100,
    validate_every=5000,
    save_every=1000,
    validation_batches=16,
    workers=4,
)

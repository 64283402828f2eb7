"""STM with ResNet-50, first stage: clips made of stills.

Both stages are in experiments/papers/stm.md, section 3.

    ivs data build coco --manual-dir COCO --data DATA      (also voc, saliency)
    ivs train experiments/stm_pretrain.py --data DATA --out runs/stm_pretrain

DATA/weights/resnet50.pth is torchvision's ResNet-50 (ImageNet).

Hardware and time: not run here. Paper: 4 GTX 1080 Ti, about 4 days.
Number: not reached here. Paper's, after this stage alone: J 57.9, F 62.1 on DAVIS-2017 val.

Published: about 500,000 steps of 4 clips of 3 frames at 384 pixels, Adam at 1e-5, all batch norms
frozen, cross-entropy after soft aggregation. Not published, and chosen here: the fall of the rate
at four fifths, how far a still moves and how its colours change (ranges as in STCN's recipe), one
object or two, the shares of the sets (a reproducer named COCO, MSRA10K, ECSSD and VOC).
"""

from ivs_jax.data.augment import Colour
from ivs_jax.data.clip_samples import ClipSamples
from ivs_jax.data.crops import Windows
from ivs_jax.data.motion import Motion
from ivs_jax.data.sets import Built
from ivs_jax.training.optimiser import Optimiser
from ivs_jax.training.recipe import Recipe
from ivs_jax.training.stm import STMTask

SIDE = 384

RECIPE = Recipe(
    "stm_pretrain",
    STMTask("stm-resnet50", side=SIDE, length=3, objects=2),
    ClipSamples(
        stills=(
            Built("coco/train", share=2),
            Built("voc/train", share=1),
            Built("saliency/train", share=2),
        ),
        real=0.0,
        size=SIDE,
        objects=(0.5, 0.5),
        still_windows=Windows(rescale=(0.8, 1.2)),
        still_motion=Motion(rotation=20, shear=0.18, scale=0.1, shift=0.1, bend=0.33),
    ),
    held_out=ClipSamples(clips=(Built("davis2017/val"),), real=1.0, size=SIDE, objects=(0.5, 0.5)),
    batch=4,
    steps=500_000,
    colour=Colour(gain=0.1, contrast=0.05, saturation=0.05, balance=0.05, grey=0.05),
    optimiser=Optimiser("adam", {"encoder": 1e-5, "decoder": 1e-5}, schedule="steps", drops=(0.8,)),
    imagenet="weights/resnet50.pth",
    log_every=100,
    validate_every=5000,
    save_every=1000,
    validation_batches=16,
    workers=4,
)

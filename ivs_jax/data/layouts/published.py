"""The published trees by name: those that `ivs data build` knows."""

from ivs_jax.data.layouts.berkeley import Berkeley
from ivs_jax.data.layouts.clip_folder import OwnClips
from ivs_jax.data.layouts.coco import Coco
from ivs_jax.data.layouts.davis import Davis2016, Davis2017
from ivs_jax.data.layouts.grabcut import GrabCut
from ivs_jax.data.layouts.image_folder import ImageFolder, Saliency
from ivs_jax.data.layouts.sbd import Sbd
from ivs_jax.data.layouts.tree import ClipTree, StillTree
from ivs_jax.data.layouts.voc import Voc
from ivs_jax.data.layouts.youtube_vos import YoutubeVos

_ALL: tuple[StillTree | ClipTree, ...] = (
    Sbd(),
    GrabCut(),
    Berkeley(),
    Davis2016(),
    Davis2017(),
    YoutubeVos(),
    Voc(),
    Coco(),
    ImageFolder(),
    Saliency(),
    OwnClips(),
)
TREES = {tree.name: tree for tree in _ALL}

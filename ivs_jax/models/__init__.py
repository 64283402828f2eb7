"""Networks and their registry: a name gives its roles, a config and a module."""

from dataclasses import dataclass, replace
from typing import Any

import jax

from ivs_jax.models.brs import BRS, ClickConfig, ClickNet
from ivs_jax.models.cost import operations
from ivs_jax.models.deeplab import DeepLabConfig
from ivs_jax.models.fbrs import FBRS, FBRSConfig
from ivs_jax.models.hrnet import SMALL, HRNetConfig
from ivs_jax.models.ipn import IPN, IPNConfig
from ivs_jax.models.ipn import SMALL as IPN_SMALL
from ivs_jax.models.ritm import RITM, RITMConfig
from ivs_jax.models.stm import STM, STMConfig

NETWORKS: dict[type, Any] = {
    ClickConfig: ClickNet,
    FBRSConfig: FBRS,
    IPNConfig: IPN,
    RITMConfig: RITM,
    STMConfig: STM,
}


@dataclass(frozen=True)
class Published:
    """Where the weights of a published network come from; we ship none of them.

    Attributes:
      checkpoint: name of the released file.
      repository: owner and name of the official repository that links it.
      licence: of these weights or, where none is stated for them, of that repository.
    """

    checkpoint: str
    repository: str
    licence: str


@dataclass(frozen=True)
class Model:
    """A registered network.

    Attributes:
      kind: "click" (clicks -> mask of one frame), "propagation" (masks -> masks of a video), or
        "both".
      config: its sizes; its type says which module it is, see `NETWORKS`.
      published: of the networks that reproduce a published checkpoint; None for those that ship.
      refine: the refinement of clicks that the network is used with unless another is asked for.
    """

    kind: str
    config: Any
    published: Published | None = None
    refine: str = "BRS"

    def build(self) -> Any:
        """The `linen.Module`; its parameters come from `weights.store` or `initial_variables`."""
        return NETWORKS[type(self.config)](self.config)


CC_NC = "CC BY-NC-SA 4.0"
MPL = "MPL-2.0"
FBRS_REPOSITORY = "saic-vul/fbrs_interactive_segmentation"
RITM_REPOSITORY = "saic-vul/ritm_interactive_segmentation"
STM_RESNET50 = STMConfig(
    backbone="resnet50",
    key=128,
    value=512,
    shared_key=False,
    top_k=None,
    previous=False,
    clamp=True,
    decoder=(256, 256, 256),
    capacity=24,
    short_side=480,
)
MODELS: dict[str, Model] = {
    "click-small": Model("click", ClickConfig()),
    "stm-small": Model("propagation", STMConfig()),
    "ipn-small": Model("both", IPN_SMALL, refine="NoBRS"),
    "stm-resnet50": Model(
        "propagation", STM_RESNET50, Published("STM_weights.pth", "seoungwugoh/STM", CC_NC)
    ),
    "stm-interactive": Model(
        "propagation",
        # Its sessions reach 16 rounds at most (DAVIS), each with one annotated frame.
        replace(STM_RESNET50, others=False, scribbles=True, annotated_only=True, capacity=16),
        Published("e120.pth", "seoungwugoh/STM-Interactive", CC_NC),
    ),
    "brs-densenet121": Model(
        "click",
        BRS,
        Published(
            "BRS_DenseNet.caffemodel", "wdjang/BRS-Interactive_segmentation", "research use only"
        ),
    ),
    "ipn": Model(
        "both",
        IPNConfig(),
        Published("I_e290.pth and P_e290.pth", "seoungwugoh/ivs-demo", CC_NC),
        "NoBRS",
    ),
    "fbrs-resnet34": Model(
        "click",
        FBRSConfig(DeepLabConfig(34, 128)),
        Published("resnet34_dh128_sbd.pth", FBRS_REPOSITORY, MPL),
        "f-BRS-B",
    ),
    "fbrs-resnet50": Model(
        "click",
        FBRSConfig(DeepLabConfig(50, 128)),
        Published("resnet50_dh128_sbd.pth", FBRS_REPOSITORY, MPL),
        "f-BRS-B",
    ),
    "fbrs-resnet101": Model(
        "click",
        FBRSConfig(DeepLabConfig(101, 256)),
        Published("resnet101_dh256_sbd.pth", FBRS_REPOSITORY, MPL),
        "f-BRS-B",
    ),
    "fbrs-hrnet18": Model(
        "click",
        FBRSConfig(HRNetConfig(18, 64)),
        Published("hrnet18_ocr64_sbd.pth", FBRS_REPOSITORY, MPL),
        "f-BRS-B",
    ),
    "fbrs-hrnet32": Model(
        "click",
        FBRSConfig(HRNetConfig(32, 128)),
        Published("hrnet32_ocr128_sbd.pth", FBRS_REPOSITORY, MPL),
        "f-BRS-B",
    ),
    "fbrs-hrnet48": Model(
        "click",
        FBRSConfig(HRNetConfig(48, 128)),
        Published("none", FBRS_REPOSITORY, "none released"),
        "f-BRS-B",
    ),
    "ritm-hrnet18s": Model(
        "click",
        RITMConfig(SMALL),
        Published("coco_lvis_h18s_itermask.pth", RITM_REPOSITORY, "MIT"),
        "NoBRS",
    ),
    "ritm-hrnet18": Model(
        "click",
        RITMConfig(HRNetConfig(18, 64)),
        Published("coco_lvis_h18_itermask.pth", RITM_REPOSITORY, "MIT"),
        "NoBRS",
    ),
    "ritm-hrnet32": Model(
        "click",
        RITMConfig(HRNetConfig(32, 128)),
        Published("coco_lvis_h32_itermask.pth", RITM_REPOSITORY, "MIT"),
        "NoBRS",
    ),
}


def model_named(name: str, *, kind: str | None = None) -> Model:
    """Looks a network up; ValueError lists the names if it is unknown or of another kind."""
    legal = [n for n, m in MODELS.items() if kind in (None, m.kind) or m.kind == "both"]
    if name not in legal:
        wanted = f"{kind} model" if kind else "model"
        raise ValueError(f"unknown {wanted} {name!r}, expected one of {', '.join(legal)}")
    return MODELS[name]


def initial_variables(model: Model, key: jax.Array, *, side: int = 64) -> Any:
    """Random variables `{"params", "batch_stats"}` of a network, float32."""
    module = model.build()
    return jax.jit(module.init)(key, *module.example_inputs(side))


def variable_shapes(model: Model) -> Any:
    """`ShapeDtypeStruct` of each of a network's variables; nothing is computed."""
    return jax.eval_shape(lambda key: initial_variables(model, key), jax.random.key(0))


def flops(model: Model, variables: Any, side: int) -> int:
    """Multiplications and additions of `__call__` at `side` x `side`; shapes of variables do."""
    module = model.build()
    inputs = jax.eval_shape(lambda: module.example_inputs(side))
    return operations(module.apply, variables, *inputs)

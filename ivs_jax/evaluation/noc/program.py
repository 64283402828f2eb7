"""The click protocol of `evaluation.noc` as one program: a scan over turns of a batch of objects.

A turn of an object is a click of the robot, or, while its mask is cut off at the border of the
window, another look in a wider window at the last click. An object that reached the target, or has
nothing left to click, stays as it is; its clicks are hidden from the solver, which then stops at
once, and a turn in which no object is left costs nothing.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ivs_jax.interaction.device_robot import RobotClick, next_click, overlap
from ivs_jax.interaction.zoom import widened, zoom_window
from ivs_jax.session.device_click import Look, inside
from ivs_jax.session.window import WIDENINGS
from ivs_jax.types import OBJECT, PADDING, Clicks

Start = Literal["zero", "warm", "warm in window"]


class Objects(NamedTuple):
    """What is measured; `B` objects in frames padded to one bucket.

    Attributes:
      image: `[B, H, W, 3]` uint8.
      truth: `[B, H, W]` bool, the object.
      ignore: `[B, H, W]` bool, pixels that count neither way.
      size: `[B, 2]` int32, height and width of the frame without padding.
    """

    image: Any
    truth: Any
    ignore: Any
    size: Any


class Progress(NamedTuple):
    """How far each object is.

    Attributes:
      probability: `[B, H, W]` float32, the last answer; 0 before the first and beyond the frame.
      clicks: of capacity `N`: `[B, N, 2]`, `[B, N]`.
      count: `[B]` int32, clicks so far.
      active: `[B]` bool, neither finished nor an empty place.
      box: `[B, 4]` float32, the window to look at next if `widenings` > 0.
      widenings: `[B]` int32, how often the window of the last click was widened; 0 once answered.
      evaluations: `[B]` int32, what the looks at the last click took; 0 once answered.
      x: where refinement starts with a warm start, leaves `[B, ...]`: what the last click found.
      x_box: `[B, 4]` float32, the window it was found in.
    """

    probability: Any
    clicks: Clicks
    count: Any
    active: Any
    box: Any
    widenings: Any
    evaluations: Any
    x: Any
    x_box: Any


class Record(NamedTuple):
    """What a click brought, for each object, in the turn in which it was answered.

    Attributes:
      made: bool, whether a click was answered; all else has a meaning only then.
      click: `[3]` int32, (x, y, label).
      intersection, union: int32, pixels of mask and object.
      satisfied: bool, whether the mask agrees with every click so far.
      evaluations: int32, network evaluations of the refinement.
      finite: bool, whether the answer is free of NaN and infinity.
    """

    made: Any
    click: Any
    intersection: Any
    union: Any
    satisfied: Any
    evaluations: Any
    finite: Any


class Rule(NamedTuple):
    """The protocol, see `config.NocRule`.

    Attributes:
      threshold: masks are probabilities above it.
      start: "zero", or where the last click ended: "warm" (in any window), or "warm in window"
        (only in the same one); see `session.protocol`.
    """

    threshold: float
    max_clicks: int
    target: float
    start: Start


def longest_run(max_clicks: int) -> int:
    """Turns after which every object is finished."""
    return max_clicks * (WIDENINGS + 1)


def run_turns(
    look: Callable[..., Look],
    rule: Rule,
    variables: Any,
    objects: Objects,
    progress: Progress,
    fresh: Array,
    *,
    turns: int,
    together: bool,
) -> tuple[Progress, Record]:
    """`turns` turns of every object that is not finished; pure.

    Args:
      look: `session.device_click.look` of a network: `(variables, image, size, clicks, previous,
        box, live, start)`.
      fresh: `[B]` bool, places whose object is new.
      turns: length of the scan; `longest_run(max_clicks)` makes it the whole run of the batch.
      together: objects are computed as a batch (`vmap`), in which all wait for the longest solve;
        else one after the other, in which none waits and finished ones cost nothing.

    Returns what is reached, and records `[turns, B]`.
    """
    turn = partial(_turn, partial(look, variables), rule)
    begun = jax.vmap(_begun)(progress, fresh)
    _, blank = jax.eval_shape(jax.vmap(turn), objects, begun)

    def idle(objects: Objects, progress: Progress) -> tuple[Progress, Record]:
        shape = progress.active.shape
        return progress, jax.tree.map(lambda x: jnp.zeros(shape + x.shape[1:], x.dtype), blank)

    def one(item: tuple[Objects, Progress]) -> tuple[Progress, Record]:
        return jax.lax.cond(item[1].active, turn, idle, *item)

    def each(objects: Objects, progress: Progress) -> tuple[Progress, Record]:
        return (
            jax.vmap(turn)(objects, progress) if together else jax.lax.map(one, (objects, progress))
        )

    def body(progress: Progress, _: None) -> tuple[Progress, Record]:
        return jax.lax.cond(progress.active.any(), each, idle, objects, progress)

    return jax.lax.scan(body, begun, length=turns)


def empty_progress(places: int, size: tuple[int, int], capacity: int, x: Any) -> Progress:
    """Of places without objects, in frames of `size`, for `capacity` clicks; NumPy arrays.

    `x` is what refinement starts at, without the axis of places.
    """
    return Progress(
        probability=np.zeros((places, *size), np.float32),
        clicks=Clicks(
            np.zeros((places, capacity, 2), np.float32), np.zeros((places, capacity), np.int32)
        ),
        count=np.zeros(places, np.int32),
        active=np.zeros(places, bool),
        box=np.zeros((places, 4), np.float32),
        widenings=np.zeros(places, np.int32),
        evaluations=np.zeros(places, np.int32),
        x=jax.tree.map(lambda leaf: np.repeat(leaf[None], places, 0), x),
        x_box=np.zeros((places, 4), np.float32),
    )


def _begun(before: Progress, fresh: Array) -> Progress:
    """`before`, or for a `fresh` object the start."""
    start = jax.tree.map(jnp.zeros_like, before)
    start = start._replace(
        clicks=Clicks(start.clicks.xy, jnp.full_like(before.clicks.label, PADDING)),
        active=jnp.bool_(True),
    )
    return jax.tree.map(lambda new, old: jnp.where(fresh, new, old), start, before)


def _turn(
    look: Callable[..., Look], rule: Rule, item: Objects, before: Progress
) -> tuple[Progress, Record]:
    """One turn of one object (`item` and `before` without the axis `B`)."""
    counted = inside(item.size, item.truth.shape) & ~item.ignore
    again = before.widenings > 0

    def robot() -> RobotClick:
        prediction = before.probability > rule.threshold
        return next_click(item.truth, prediction, counted, before.clicks)

    def no_robot() -> RobotClick:
        return RobotClick(jnp.zeros(2, jnp.int32), jnp.int32(0), jnp.bool_(True))

    click = jax.lax.cond(again, no_robot, robot)
    live = before.active & click.found
    clicks, count = _added(before, click, live & ~again)
    zoomed = zoom_window(item.size, clicks, before.probability, threshold=rule.threshold)
    box = jnp.where(again, before.box, zoomed)
    found = look(
        item.image, item.size, clicks, before.probability, box, live, _start(rule, before, box)
    )

    more = live & found.finite & found.cut_off & (before.widenings < WIDENINGS)
    answered, mask = live & ~more, found.probability > rule.threshold
    intersection, union = overlap(mask, item.truth, counted)
    reached = intersection / jnp.maximum(union, 1) >= rule.target
    evaluations = before.evaluations + found.evaluations
    after = Progress(
        probability=jnp.where(answered, found.probability, before.probability),
        clicks=clicks,
        count=count,
        active=more | answered & found.finite & ~reached & (count < rule.max_clicks),
        box=widened(box, item.size),
        widenings=jnp.where(more, before.widenings + 1, 0),
        evaluations=jnp.where(more, evaluations, 0),
        x=jax.tree.map(lambda new, old: jnp.where(answered, new, old), found.x, before.x),
        x_box=jnp.where(answered, box, before.x_box),
    )
    last = jnp.maximum(count - 1, 0)
    record = Record(
        made=answered,
        click=jnp.append(clicks.xy[last].astype(jnp.int32), clicks.label[last]),
        intersection=intersection,
        union=union,
        satisfied=_agrees(mask, clicks),
        evaluations=evaluations,
        finite=found.finite,
    )
    return after, record


def _added(before: Progress, click: RobotClick, is_new: Array) -> tuple[Clicks, Array]:
    """The clicks with `click` behind them if it `is_new`, and their number."""
    xy, label = before.clicks
    here = is_new & (jnp.arange(label.shape[0]) == before.count)
    placed = jnp.where(here[:, None], click.xy[None].astype(xy.dtype), xy)
    return Clicks(placed, jnp.where(here, click.label, label)), before.count + is_new


def _start(rule: Rule, before: Progress, box: Array) -> Any:
    if rule.start == "zero":
        return None
    holds = jnp.bool_(rule.start == "warm") | (before.x_box == box).all()
    return jax.tree.map(lambda leaf: jnp.where(holds, leaf, 0), before.x)


def _agrees(mask: Array, clicks: Clicks) -> Array:
    """Does `mask` `[H, W]` say at every clicked pixel what the click says?"""
    xy = clicks.xy.astype(jnp.int32)
    right = mask[xy[:, 1], xy[:, 0]] == (clicks.label == OBJECT)
    return (right | (clicks.label == PADDING)).all()

"""Line search for a solver that pays dearly for every evaluation: a state machine, no loop.

The search follows Moré & Thuente, "Line search algorithms with guaranteed sufficient decrease"
(ACM TOMS 1994): extrapolate until a bracket is found, then interpolate inside it (cubic and
quadratic, safeguarded) until the strong Wolfe conditions hold. `advance` consumes one trial and
says what to do next, so that the caller can keep one evaluation site. Everything is a scalar.

Ours: a trial whose value or slope is not finite becomes a ceiling and the step shrinks towards the
lowest point; a search that ends without a Wolfe point hands over that lowest point, already
evaluated; a search whose predicted decrease is below the resolution of float32 gives up at once.
"""

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

DECREASE = 1e-3  # c1; 1e-3 and 0.9 as in L-BFGS-B
CURVATURE = 0.9  # c2
INTERVAL = 0.1  # a bracket narrower than this share of its upper end is not refined further
MAX_TRIALS = 20
MAX_STEP = 1e10
Record = TypeVar("Record", bound=NamedTuple)

NOISE = 2 * float(np.finfo(np.float32).eps)  # relative error to expect of an energy


class Point(NamedTuple):
    """One point of the line: step, value and slope there, each float32 []."""

    step: jax.Array
    value: jax.Array
    slope: jax.Array


class Search(NamedTuple):
    """State between two trials.

    Attributes:
      step: float32 [], the step to try next.
      trials: int32 [], trials so far.
      start: the point at step 0.
      low: the best point so far; at first `start`.
      high: the other end of the bracket, meaningless before `bracketed`.
      bracketed: bool [], a minimum lies between `low` and `high`.
      descending: bool [], no trial yet had enough decrease and a slope >= 0 (stage one).
      lower, upper: float32 [], bounds of the next step.
      width, wider: float32 [], width of the bracket now and one trial before.
      ceiling: float32 [], smallest step known to be too long (not finite).
    """

    step: jax.Array
    trials: jax.Array
    start: Point
    low: Point
    high: Point
    bracketed: jax.Array
    descending: jax.Array
    lower: jax.Array
    upper: jax.Array
    width: jax.Array
    wider: jax.Array
    ceiling: jax.Array


class Verdict(NamedTuple):
    """What a trial meant; each bool []. `lowered` may hold together with the other two.

    Attributes:
      accepted: the trial fulfils the strong Wolfe conditions.
      exhausted: no better point will be found; take `Search.low`, possibly the start.
      lowered: the trial is the new `Search.low`.
    """

    accepted: jax.Array
    exhausted: jax.Array
    lowered: jax.Array


def begin(value: jax.Array, slope: jax.Array, step: jax.Array) -> Search:
    """A new search from `value` along a direction of negative `slope`, first trial at `step`."""
    zero, false = jnp.zeros_like(value), jnp.zeros(jnp.shape(value), bool)
    start = Point(zero, value, slope)
    return Search(
        step=step,
        trials=jnp.zeros(jnp.shape(value), jnp.int32),
        start=start,
        low=start,
        high=start,
        bracketed=false,
        descending=~false,
        lower=zero,
        upper=5 * step,
        width=zero + MAX_STEP,
        wider=zero + 2 * MAX_STEP,
        ceiling=zero + MAX_STEP,
    )


def advance(search: Search, value: jax.Array, slope: jax.Array) -> tuple[Search, Verdict]:
    """Takes value and slope at `search.step`; returns the state for the next trial and a verdict.

    The state is of no use after a verdict `accepted`; after `exhausted` only its `low` is.
    """
    s = search
    finite = jnp.isfinite(value) & jnp.isfinite(slope)
    trial = Point(s.step, value, slope)
    enough = value <= s.start.value + DECREASE * s.step * s.start.slope
    accepted = finite & enough & (jnp.abs(slope) <= -CURVATURE * s.start.slope)
    descending = s.descending & ~(finite & enough & (slope >= 0))

    # Stage one minimises f(t) - c1 f'(0) t where a low value is not yet enough decrease.
    tilt = jnp.where(
        descending & (value <= s.low.value) & ~enough, DECREASE * s.start.slope, jnp.float32(0)
    )
    low, high, probe = (_tilted(p, tilt) for p in (s.low, s.high, trial))
    higher = probe.value > low.value
    turned = ~higher & (jnp.sign(probe.slope) * jnp.sign(low.slope) < 0)
    step = _interpolate(low, high, probe, higher, turned, s)
    new_low = _select(higher, s.low, trial)
    new_high = _select(higher, trial, _select(turned, s.low, s.high))
    bracketed = s.bracketed | higher | turned

    width = jnp.abs(new_high.step - new_low.step)
    slow = bracketed & (width >= 0.66 * s.wider)
    step = jnp.where(slow, 0.5 * (new_low.step + new_high.step), step)
    fallback = jnp.where(bracketed, 0.5 * (new_low.step + new_high.step), s.upper)
    step = jnp.where(jnp.isfinite(step), step, fallback)
    ends = jnp.minimum(new_low.step, new_high.step), jnp.maximum(new_low.step, new_high.step)
    reach = step - new_low.step
    after = Search(
        step=jnp.where(step >= s.ceiling, 0.5 * (new_low.step + s.ceiling), step),
        trials=s.trials,
        start=s.start,
        low=new_low,
        high=new_high,
        bracketed=bracketed,
        descending=descending,
        lower=jnp.where(bracketed, ends[0], step + 1.1 * reach),
        upper=jnp.where(bracketed, ends[1], step + 4.0 * reach),
        width=jnp.where(bracketed, width, s.width),
        wider=jnp.where(bracketed, s.width, s.wider),
        ceiling=s.ceiling,
    )
    after = _select(finite, after, _shrunk(s))._replace(trials=s.trials + 1)
    return after, Verdict(accepted, ~accepted & _exhausted(after), finite & ~higher)


def wolfe(search: Search, value: jax.Array, slope: jax.Array) -> jax.Array:
    """Do value and slope at `search.step` fulfil the strong Wolfe conditions? bool []."""
    enough = value <= search.start.value + DECREASE * search.step * search.start.slope
    return enough & (jnp.abs(slope) <= -CURVATURE * search.start.slope)


def spread(search: Search, count: int) -> Search:
    """`count` searches that differ in `step` `[count]`, the first of which is `search` itself.

    Inside a bracket the other steps are at equal distances between its ends; before there is one,
    they are a half, twice, a quarter, four times, ... of the way.
    """
    number = jnp.arange(1, count)
    low, reach = search.low.step, search.step - search.low.step
    power = jnp.where(number % 2 == 1, -(number + 1) // 2, number // 2)
    outside = low + reach * 2.0**power
    inside = low + (search.high.step - low) * (number / count)
    others = jnp.where(search.bracketed, inside, jnp.minimum(outside, 0.5 * (low + search.ceiling)))
    steps = jnp.concatenate([search.step[None], others])
    same = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *jnp.shape(leaf))), search)
    return same._replace(step=steps)


def _exhausted(s: Search) -> jax.Array:
    narrow = s.bracketed & (
        (s.upper - s.lower <= INTERVAL * s.upper) | (s.step <= s.lower) | (s.step >= s.upper)
    )
    # Shrinking towards the start, a step too short to change a float32 value proves nothing.
    invisible = s.bracketed & (s.low.step == 0) & (s.step * -s.start.slope < resolution(s.start))
    capped = s.ceiling - s.low.step <= INTERVAL * s.ceiling
    return (
        (s.trials >= MAX_TRIALS)
        | narrow
        | (s.step >= MAX_STEP)
        | invisible
        | ((s.low.step > 0) & capped)
    )


def resolution(point: Point) -> jax.Array:
    """Decrease of `point.value` that float32 rounding of a sum may hide, float32 []."""
    return NOISE * jnp.abs(point.value)


def _shrunk(s: Search) -> Search:
    """After a trial that was not finite: a quarter of the way from the lowest point."""
    return s._replace(
        step=s.low.step + 0.25 * (s.step - s.low.step),
        lower=jnp.where(s.bracketed, s.lower, s.low.step),
        upper=jnp.where(s.bracketed, s.upper, s.step),
        ceiling=jnp.minimum(s.ceiling, s.step),
    )


def _interpolate(
    low: Point, high: Point, trial: Point, higher: jax.Array, turned: jax.Array, s: Search
) -> jax.Array:
    """The four cases of Moré & Thuente, 1994, section 4; names are theirs where there is one."""
    cubic = _cubic(low, trial)
    gap = trial.step - low.step
    # 1: the value rose. The cubic, or half way to the quadratic if that lies closer to `low`.
    rise = (trial.value - low.value) / gap
    quadratic = low.step + 0.5 * gap * low.slope / (low.slope - rise)
    nearer = jnp.abs(cubic - low.step) < jnp.abs(quadratic - low.step)
    rose = jnp.where(nearer, cubic, 0.5 * (cubic + quadratic))
    # 2: the slope changed sign. Cubic or secant, the one farther from the trial.
    secant = trial.step - gap * trial.slope / (trial.slope - low.slope)
    farther = jnp.abs(cubic - trial.step) > jnp.abs(secant - trial.step)
    crossed = jnp.where(farther, cubic, secant)
    # 3: the slope flattened. The cubic counts only if its minimum lies beyond the trial.
    limit = jnp.where(gap > 0, s.upper, s.lower)
    beyond = jnp.isfinite(cubic) & ((cubic - trial.step) * gap > 0)
    ahead = jnp.where(beyond, cubic, limit)
    closer = jnp.abs(ahead - trial.step) < jnp.abs(secant - trial.step)
    guard = trial.step + 0.66 * (high.step - trial.step)
    inside = jnp.where(closer, ahead, secant)
    inside = jnp.where(gap > 0, jnp.minimum(guard, inside), jnp.maximum(guard, inside))
    outside = jnp.clip(jnp.where(closer, secant, ahead), s.lower, s.upper)
    flattened = jnp.where(s.bracketed, inside, outside)
    # 4: the slope did not flatten. The far end of the bracket decides, or the longest step.
    steep = jnp.where(s.bracketed, _cubic(high, trial), limit)

    flat = jnp.abs(trial.slope) < jnp.abs(low.slope)
    step = jnp.where(turned, crossed, jnp.where(flat, flattened, steep))
    return jnp.where(higher, rose, step)


def _cubic(a: Point, b: Point) -> jax.Array:
    """Minimiser of the cubic through values and slopes at `a` and `b`; may be NaN if degenerate."""
    gap = b.step - a.step
    mean = a.slope + b.slope - 3 * (b.value - a.value) / gap
    # Scaled, because squares of small float32 slopes underflow.
    scale = jnp.maximum(jnp.abs(mean), jnp.maximum(jnp.abs(a.slope), jnp.abs(b.slope)))
    root = (mean / scale) ** 2 - (a.slope / scale) * (b.slope / scale)
    root = jnp.sign(gap) * scale * jnp.sqrt(jnp.maximum(root, 0))
    return b.step - gap * (b.slope + root - mean) / (b.slope - a.slope + 2 * root)


def _tilted(point: Point, tilt: jax.Array) -> Point:
    return Point(point.step, point.value - tilt * point.step, point.slope - tilt)


def _select(condition: jax.Array, yes: Record, no: Record) -> Record:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)

"""Which frame to look at next."""

from ivs_jax.session.state import State

APART = 5  # frames; neighbours look alike and are mended by the same correction


def frame_reliability(state: State) -> dict[int, float]:
    """Reliability in [0, 1] of every frame with masks, ascending: 1 where the user marked it."""
    return {
        frame: 1.0 if masks.marks else masks.reliability
        for frame, masks in sorted(state.scene.frames.items())
    }


def suggest(state: State, count: int) -> list[int]:
    """Up to `count` frames that a correction would help most, the best one first.

    That is where the masks are least reliable and the user has marked nothing near: doubt counts in
    full from an eighth of the video away from all marked frames, and less the nearer (our choice).
    Propagated frames that the user did not mark and that are at least `APART` frames from every
    marked and every other suggested one; in a short video fewer, a tenth of it. Of equally good
    ones the first. Raises ValueError for a count below 1.

    >>> from ivs_jax import Click, Propagate, step, suggest
    >>> state = step(state, Click(frame=0, object=1, x=28, y=12))
    >>> state = step(state, Propagate())
    >>> len(suggest(state, count=3))
    3
    """
    if count < 1:
        raise ValueError(f"number of frames to suggest must be at least 1, got {count}")
    marked, length = state.annotated, len(state.engine.video)
    apart, room = max(1, min(APART, length // 10)), max(1, length / 8)
    values, found = frame_reliability(state), list[int]()

    def doubt(frame: int) -> float:
        distance = min((abs(frame - other) for other in marked), default=length)
        return (1 - values[frame]) * min(1, distance / room)

    for frame in sorted(values, key=lambda f: (-doubt(f), f)):
        if len(found) < count and all(abs(frame - other) >= apart for other in (*marked, *found)):
            found.append(frame)
    return found

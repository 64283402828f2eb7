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
    """Up to `count` frames that a correction would help most, the least reliable one first.

    Propagated frames that the user did not mark and that are at least `APART` frames from every
    marked and every other suggested one; in a short video fewer, a tenth of it. Of equally reliable
    ones the first. Raises ValueError for a count below 1.
    """
    if count < 1:
        raise ValueError(f"number of frames to suggest must be at least 1, got {count}")
    apart = max(1, min(APART, len(state.engine.video) // 10))
    taken, found = list(state.annotated), list[int]()
    values = frame_reliability(state)
    for frame in sorted(values, key=lambda f: (values[f], f)):
        if len(found) < count and all(abs(frame - other) >= apart for other in taken):
            found.append(frame)
            taken.append(frame)
    return found

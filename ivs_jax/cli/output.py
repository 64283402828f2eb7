"""Writes the masks of a session in the formats that users asked for."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from ivs_jax.interaction import Click
from ivs_jax.interaction.strokes import NOTHING
from ivs_jax.io import (
    OverlayWriter,
    Video,
    atomic,
    contact_sheet,
    davis_palette,
    overlay,
    write_coco_annotations,
    write_object_pngs,
    write_palette_png,
    write_rgba,
)
from ivs_jax.session import State
from ivs_jax.session.hints import PromptMaps
from ivs_jax.types import make_clicks


def write_results(
    state: State,
    video: Video,
    out: Path,
    exports: tuple[str, ...],
    overlay_path: Path | None,
    advance: Callable[[int, int], None],
) -> list[Path]:
    """Writes every frame that has masks; the overlay video has every frame of the video.

    palette: `out/masks/NAME.png`, DAVIS palette, index = object id. objects:
    `out/objects/001/NAME.png`, 0 or 255. rgba: `out/rgba/001/NAME.png`, the object cut out.
    coco: `out/coco.json`, run-length codes. NAME is the frame's own name.

    Returns the files and folders written. `advance(done, total)` is called after each frame.
    """
    written = [out / {"palette": "masks", "coco": "coco.json"}.get(name, name) for name in exports]
    frames = range(len(video)) if overlay_path else sorted(state.scene.frames)
    writer = OverlayWriter(overlay_path, video.fps, video.size) if overlay_path else nullcontext()
    with writer as film:
        for done, frame in enumerate(frames, 1):
            if frame in state.scene.frames:
                _write_frame(state, video, frame, out, exports)
            if film is not None:
                film.write(_painted(state, video, frame))
            advance(done, len(frames))
    if "coco" in exports:
        write_coco_annotations(
            out / "coco.json",
            _labelled(state, video),
            video=str(video.path),
            size=video.size,
            objects=state.objects,
        )
    return written + ([overlay_path] if overlay_path else [])


def write_sheet(state: State, video: Video, path: Path, *, most: int = 8) -> None:
    """Writes a picture of up to `most` evenly spread frames with their masks and hints."""
    frames = sorted(state.scene.frames)
    picks = [frames[i] for i in sorted({round(x) for x in np.linspace(0, len(frames) - 1, most)})]
    images = [_painted(state, video, f) for f in picks]
    titles = [f"{video.names[f]} {_origin(state, f)}" for f in picks]
    with atomic(path) as temporary:
        contact_sheet(images, titles, columns=min(4, len(picks))).save(temporary, "PNG")


def _origin(state: State, frame: int) -> str:
    return ", ".join(sorted(set(state.provenance(frame).values())))


def _write_frame(
    state: State, video: Video, frame: int, out: Path, exports: tuple[str, ...]
) -> None:
    name, labels = video.names[frame], state.labels(frame)
    if "palette" in exports:
        write_palette_png(out / "masks" / f"{name}.png", labels)
    if "objects" in exports:
        write_object_pngs(out / "objects", name, labels, state.objects)
    if "rgba" in exports:
        for number in state.objects:
            path = out / "rgba" / f"{number:03d}" / f"{name}.png"
            write_rgba(path, video[frame], labels == number)


def _labelled(state: State, video: Video) -> Iterator[tuple[int, str, np.ndarray]]:
    for frame in sorted(state.scene.frames):
        yield frame, video.names[frame], state.labels(frame)


def _painted(state: State, video: Video, frame: int) -> np.ndarray:
    """A frame with masks, clicks, and strokes in the colour of their object (background: white)."""
    masks = state.scene.frames.get(frame)
    hints = masks.hints if masks else ()
    clicks = [hint for hint in hints if isinstance(hint, Click)]
    dots = make_clicks([(c.x, c.y) for c in clicks], [c.label for c in clicks]) if clicks else None
    image = overlay(video[frame], state.labels(frame), clicks=dots)
    strokes = PromptMaps(hints, video.size).stroke_labels
    if strokes is not None:
        colours = davis_palette().copy()
        colours[0] = 255
        image[strokes != NOTHING] = colours[strokes[strokes != NOTHING]]
    return image

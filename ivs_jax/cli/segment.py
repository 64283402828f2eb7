"""`ivs segment`: clicks and masks in, masks of the whole video out."""

import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, UseAppendAction, arg

if TYPE_CHECKING:
    from ivs_jax.cli.work import Hint
    from ivs_jax.io import Video

EXAMPLES = """Click objects in a video, get their masks in every frame.

VIDEO is an mp4, mov or webm file, a folder of JPEG or PNG frames, or one image. Positions are in
pixels of the frame, x to the right, y down; frames count from 0; objects are 1 to 254.

examples:
  one click on an object in the first frame
    ivs segment clip.mp4 --click 0:1:320,200
  two objects, one correction (what is not object 1), an overlay video
    ivs segment clip.mp4 --click 0:1:320,200 --click 0:1:40,40:- --click 0:2:500,180 \\
        --overlay overlay.mp4
  scribbles on any number of frames, in the JSON format of the DAVIS interactive benchmark
    ivs segment clip.mp4 --scribbles strokes.json
  start from a mask image, ask which frames to look at, go on with what was saved, correct frame 30
    ivs segment frames/ --mask 0:first.png --out run --suggest 3
    ivs segment frames/ --resume run/session.json --click 30:1:210,96 --out run
"""


@dataclass(frozen=True)
class Segment:
    video: Positional[Path]
    """Video file, folder of frames, or image."""
    click: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="FRAME:OBJECT:X,Y[:-]")] = ()
    """A click on an object; ":-" at the end: this is not the object."""
    mask: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="FRAME:PATH")] = ()
    """A mask image of one frame, one value or colour an object; clicks then correct it."""
    scribbles: Path | None = None
    """Strokes in DAVIS interactive JSON; after the masks, before the clicks."""
    model: str = "click-small"
    """Short for --interaction or --propagation, or both, whatever the network can do."""
    interaction: str | None = None
    """Network that answers clicks and strokes; default: click-small, or --model if it does."""
    propagation: str | None = None
    """Network that carries masks to other frames; default: stm-small, or --model if it does."""
    refine: str | None = None
    """Refinement by clicks: NoBRS, BRS, RGB-BRS, DistMap-BRS, f-BRS-A, f-BRS-B, f-BRS-C; default:
    that of the network's paper, BRS for click-small."""
    budget: int = 60
    """Network evaluations that refinement may spend on a click."""
    weights: UseAppendAction[tuple[Path, ...]] = ()
    """A weights file (see ivs convert), or a folder of them, instead of those that ship."""
    propagate: bool = True
    """Carry the masks to the other frames."""
    direction: Literal["forward", "backward", "both"] = "both"
    """Where to, from the first annotated frame. If the frames have masks already (--resume), from
    every frame that is marked now, to the nearest frames marked before."""
    suggest: int = 0
    """How many frames to name at the end that should be looked at next."""
    out: Path | None = None
    """Folder for the results; default: ivs_out/NAME of the video."""
    export: Annotated[str, arg(metavar="KIND,...")] = "palette"
    """Comma list of palette, objects (a PNG each), coco (JSON), rgba (objects cut out)."""
    overlay: Path | None = None
    """Video to write with the masks painted over the frames, e.g. overlay.mp4."""
    sheet: Path | None = None
    """Picture to write with a few frames and their masks, e.g. sheet.png."""
    session: Path | None = None
    """Where to save the session; default: session.json in the folder for the results."""
    resume: Path | None = None
    """Saved session to go on with; needs the same video and networks."""

    def run(self) -> int:
        from ivs_jax.api.loader import default_loader
        from ivs_jax.cache import CompileClock, enable_compilation_cache
        from ivs_jax.cli.parse import parse_exports
        from ivs_jax.cli.show import Interrupt
        from ivs_jax.cli.work import Work
        from ivs_jax.io import MaskWarning, open_video

        began = time.perf_counter()
        warnings.simplefilter("always", MaskWarning)
        exports = parse_exports(self.export)
        if self.suggest < 0:
            raise ValueError(f"--suggest must not be negative, got {self.suggest}")
        enable_compilation_cache()
        with open_video(self.video) as video, CompileClock() as clock, Interrupt() as interrupt:
            events = self._events(video)
            engine = default_loader()(
                video,
                model=self.model,
                interaction=self.interaction,
                propagation=self.propagation,
                refine=self.refine,
                budget=self.budget,
                weights=self.weights,
            )
            out = self.out or Path("ivs_out") / (video.path.stem or "video")
            work = Work(engine, video, clock, interrupt, self.session or out / "session.json")
            if self.resume:
                work.resume(self.resume)
            if events:
                work.mark(events)
            if self.propagate and events and len(video) > 1:
                work.carry_on(self.direction)
            work.write(out, exports, self.overlay, self.sheet)
            work.summary(time.perf_counter() - began, suggestions=self.suggest)
            if work.problem:
                raise work.problem
            return 130 if interrupt() else 0

    def _events(self, video: "Video") -> "list[Hint]":
        """Masks, scribbles, then clicks, in the order given; all read before any network runs."""
        import numpy as np

        from ivs_jax.cli.parse import parse_click, parse_mask
        from ivs_jax.interaction import Mask
        from ivs_jax.interaction.davis_scribbles import read_scribbles
        from ivs_jax.io import encode_rle, read_mask

        events: list[Hint] = []
        for frame, path in map(parse_mask, self.mask):
            labels = read_mask(path, size=video.size)
            numbers = [int(number) for number in np.unique(labels) if number]
            if not numbers:
                raise ValueError(f"{path}: no object in this mask, only background")
            events += [Mask(frame, number, encode_rle(labels == number)) for number in numbers]
        if self.scribbles is not None:
            events += read_scribbles(self.scribbles, video.size, len(video))
        events += map(parse_click, self.click)
        if not events and self.resume is None:
            raise ValueError(
                "nothing to segment: give --click FRAME:OBJECT:X,Y, --mask FRAME:PATH, "
                "--scribbles FILE or --resume FILE"
            )
        return events

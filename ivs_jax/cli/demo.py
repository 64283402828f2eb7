"""`ivs demo`: the main job with nothing to prepare."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg


@dataclass(frozen=True)
class Demo:
    video: Positional[Path | None] = None
    """Your own clip; default: a camera passes a motorcycle, made from two photographs."""
    click: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="FRAME:OBJECT:X,Y[:-]")] = ()
    """Clicks on your own clip, as in `ivs segment`."""
    out: Path = Path("ivs_out/demo")
    """Folder for the results."""

    def run(self) -> int:
        from ivs_jax.cli.segment import Segment

        video, clicks = self.video, self.click
        if video is None:
            video, clicks = self._made_clip()
        command = Segment(
            video,
            click=clicks,
            out=self.out,
            overlay=self.out / "overlay.mp4",
            sheet=self.out / "sheet.png",
        )
        return command.run()

    def _made_clip(self) -> tuple[Path, tuple[str, ...]]:
        from ivs_jax.data.demo_clip import write_demo_clip

        if self.click:
            raise ValueError("demo: clicks need a video of your own, VIDEO --click ...")
        print(f"Making {self.out / 'clip.mp4'} from two photographs of a motorcycle")
        clip = write_demo_clip(self.out / "clip.mp4")
        pairs = zip(clip.points, clip.labels, strict=True)
        clicks = tuple(f"0:1:{x:g},{y:g}" + (":-" if not label else "") for (x, y), label in pairs)
        flags = " ".join(f"--click {click}" for click in clicks)
        print(f"This is: ivs segment {clip.path} {flags}")
        return clip.path, clicks

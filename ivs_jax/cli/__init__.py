"""The command line, `ivs`: flags in, calls of the session out; no logic of its own."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, TextIO

import tyro

from ivs_jax.allocator import keep_freed_memory
from ivs_jax.cli.bench import Bench
from ivs_jax.cli.convert import EXAMPLES as CONVERT
from ivs_jax.cli.convert import Convert
from ivs_jax.cli.data import Data
from ivs_jax.cli.demo import Demo
from ivs_jax.cli.evaluate import Evaluate
from ivs_jax.cli.info import Info
from ivs_jax.cli.segment import EXAMPLES, Segment
from ivs_jax.cli.train import EXAMPLES as TRAIN
from ivs_jax.cli.train import Train, parse_train

DESCRIPTION = """Interactive video object segmentation: click an object, get its masks.

examples:
  ivs segment clip.mp4 --click 0:1:320,200 --overlay overlay.mp4
  ivs segment --help
  ivs info
"""

DEMO = "Segments a clip of a real scene made on the spot, or your clip and clicks."

Command = (
    Annotated[Segment, tyro.conf.subcommand("segment", description=EXAMPLES)]
    | Annotated[Bench, tyro.conf.subcommand("bench", description="Measure speed.")]
    | Annotated[Convert, tyro.conf.subcommand("convert", description=CONVERT)]
    | Annotated[Data, tyro.conf.subcommand("data", description="Build, list and show data sets.")]
    | Annotated[Demo, tyro.conf.subcommand("demo", description=DEMO)]
    | Annotated[Evaluate, tyro.conf.subcommand("eval", description="Measure on data sets.")]
    | Annotated[
        Info, tyro.conf.subcommand("info", description="Versions, devices, cache, weights.")
    ]
    | Annotated[Train, tyro.conf.subcommand("train", description=TRAIN)]
)


def main(args: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0, 2 for an error, 130 after Ctrl-C."""
    keep_freed_memory()
    args = sys.argv[1:] if args is None else args
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            return _parsed(args).run()
    except (ValueError, OSError) as error:
        if os.environ.get("IVS_DEBUG"):
            raise
        print(f"ivs: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ivs: interrupted", file=sys.stderr)
        return 130


def _parsed(args: Sequence[str]) -> Any:
    if args[:1] == ["train"]:  # its flags depend on the recipe that is named
        return parse_train(args[1:])
    return tyro.cli(
        Command,  # type: ignore[arg-type]
        prog="ivs",
        description=DESCRIPTION,
        args=args,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
    )


def _note(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"ivs: note: {' '.join(str(message).split())}", file=sys.stderr)

"""Log of a NoC run in progress, from which an interrupted run resumes."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ivs_jax.evaluation.noc.config import NocConfig, digest
from ivs_jax.evaluation.noc.record import ObjectResult
from ivs_jax.evaluation.report.files import write_text


class NocLog:
    """Finished objects of a run, one JSON line each after a line with the configuration."""

    def __init__(self, path: Path, config: NocConfig) -> None:
        fields = asdict(config)
        self.path = path
        head = {"fingerprint": digest(fields), "config": fields}
        lines = _json_lines(path) if path.exists() else []
        if lines and lines[0].get("fingerprint") != head["fingerprint"]:
            raise ValueError(
                f"{path}: left by a run of {lines[0].get('config')}, this one is {fields}; "
                "choose another folder or delete that file"
            )
        try:
            self.done = {line["name"]: ObjectResult(**line) for line in lines[1:]}
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}: left by another version ({error}), delete it") from error
        # Written again as a whole, so that a line cut off by the interruption goes away.
        write_text(path, "".join(json.dumps(line) + "\n" for line in [head, *lines[1:]]))

    def add(self, result: ObjectResult) -> None:
        if result.name not in self.done:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(result)) + "\n")


def _json_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of the file up to the first that is not JSON (an interrupted write)."""
    lines: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return lines

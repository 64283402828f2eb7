"""Sections as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from ivs_jax.evaluation.report.sections import Section, cell


def to_markdown(title: str, sections: Iterable[Section]) -> str:
    """A Markdown page of the headings, texts and tables of `sections`."""
    parts = [f"# {title}\n"]
    for section in sections:
        parts += [f"## {section.title}\n"] if section.title else []
        parts += [f"{section.text}\n"] if section.text else []
        parts += [markdown_table(*section.table)] if section.table is not None else []
    return "\n".join(parts)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; floats with three decimals, the first column to the left."""
    lines = [_row(header), _row([":--"] + ["--:"] * (len(header) - 1))]
    lines += [_row([cell(value).replace("|", "\\|") for value in row]) for row in rows]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

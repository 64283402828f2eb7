"""What a report is made of: sections with text, a table and pictures."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Table = tuple[Sequence[str], Sequence[Sequence[Any]]]
Picture = tuple[str, bytes]


class Section(NamedTuple):
    """A part of a report, in this order: heading, paragraphs, table, pictures.

    Attributes:
      title: the heading, also the entry in the page's contents; Markdown shows none if empty.
      text: plain text (never read as HTML); an empty line starts a new paragraph.
      table: header and rows; floats are shown with three decimals, None as an empty cell.
      images: pairs of caption and file content, PNG or JPEG; Markdown leaves them out.
    """

    title: str = ""
    text: str = ""
    table: Table | None = None
    images: Sequence[Picture] = ()


def cell(value: Any) -> str:
    """A value as tables show it: floats with three decimals, never -0.000."""
    return f"{value:z.3f}" if isinstance(value, float) else str(value)


def tables_only(sections: Iterable[Section]) -> list[Section]:
    """The tables of `sections`, without headings, text and pictures."""
    return [Section(table=part.table) for part in sections if part.table is not None]


def skipped_section(
    head: str, skipped: Sequence[Mapping[str, str]], title: str = "Not measured"
) -> list[Section]:
    """One section that lists what was skipped, `{"name", "reason"}` each; none if nothing was."""
    rows = [[entry["name"], entry["reason"]] for entry in skipped]
    return [Section(title, table=([head, "reason"], rows))] if rows else []

"""One self-contained HTML page: facts, tables and pictures. It loads nothing and runs no script.

Made for a phone as much as for a desk: wide tables and strips scroll inside their own box, the
first column of a table stays in sight, colours follow the reader's light or dark setting.
"""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from ivs_jax.evaluation.report.files import write_text
from ivs_jax.evaluation.report.sections import Section, cell

_MIME = {"PNG": "image/png", "JPEG": "image/jpeg"}
_STRIP = 2.2, 704  # wider than so many heights and pixels: scrolls on a phone, does not shrink


def write_page(
    folder: str | Path, title: str, facts: Mapping[str, str], sections: Iterable[Section]
) -> None:
    """Writes report.html into `folder`, as a whole or not at all.

    `facts` are the few figures that a reader looks for first, name to value, shown on top.
    Raises ValueError for a picture that is neither PNG nor JPEG, and for a row of a table that is
    not as long as its header.
    """
    write_text(Path(folder) / "report.html", to_html(title, facts, sections))


def to_html(title: str, facts: Mapping[str, str], sections: Iterable[Section]) -> str:
    """The page as text; see `write_page`."""
    parts = list(sections)
    tiles = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"
        for name, value in facts.items()
    )
    links = " ".join(f'<a href="#s{i}">{escape(part.title)}</a>' for i, part in enumerate(parts))
    body = "\n".join(_section(f"s{i}", part) for i, part in enumerate(parts))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{_HEAD}'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n<dl>{tiles}</dl>\n<nav>{links}</nav>\n{body}\n"
        "</body>\n</html>\n"
    )


def _section(name: str, section: Section) -> str:
    paragraphs = [part.strip() for part in section.text.split("\n\n") if part.strip()]
    lines = [f'<section id="{name}">', f"<h2>{escape(section.title)}</h2>"]
    lines += [f"<p>{escape(part)}</p>" for part in paragraphs]
    if section.table is not None:
        lines.append(_table(section.title, *section.table))
    lines += [_figure(section.title, caption, content) for caption, content in section.images]
    return "\n".join([*lines, "</section>"])


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    for row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"{title}: a row of {len(row)} cells ({cell(row[0]) if row else 'empty'}), "
                f"expected {len(header)} as in the header"
            )
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "\n".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _cell(value: Any) -> str:
    return f"<td>{'' if value is None else escape(cell(value))}</td>"


def _figure(title: str, caption: str, content: bytes) -> str:
    try:
        with Image.open(io.BytesIO(content), formats=tuple(_MIME)) as image:
            (width, height), kind = image.size, _MIME[str(image.format)]
            shown = round(width * 72 / max(72, image.info.get("dpi", (72, 72))[0]))
    except UnidentifiedImageError as error:
        raise ValueError(
            f"{title}: the picture {caption!r} is neither PNG nor JPEG ({len(content)} bytes)"
        ) from error
    data = base64.b64encode(content).decode("ascii")
    wide = ' class="strip"' if width > _STRIP[0] * height and shown >= _STRIP[1] else ""
    return (
        f'<figure><div class="scroll"><img{wide} src="data:{kind};base64,{data}" width="{shown}" '
        f'height="{round(shown * height / width)}" alt="{escape(caption)}"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


# The policy makes the promise of the first line something that browsers enforce.
_HEAD = """\
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
"""

_STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d8dee4;
  --tile: #f3f5f7; --link: #0a58ca; }
@media (prefers-color-scheme: dark) {
  :root { --page: #14171b; --ink: #e6e9ec; --soft: #9aa4af; --line: #343b43; --tile: #1f242a;
    --link: #82b4ff; }
}
body { margin: 0 auto; padding: 1rem; max-width: 70rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .5rem; font-size: 1.15rem; }
p { max-width: 45rem; }
a { color: var(--link); }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .5rem; }
dl div { padding: .5rem .75rem; border-radius: .5rem; background: var(--tile); }
dt, figcaption { color: var(--soft); font-size: .875rem; }
dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .75rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--page);
  text-align: left; }
figure { margin: 1rem 0; }
img { display: block; max-width: 100%; height: auto; border-radius: .25rem; background: #fff; }
img.strip { min-width: min(44rem, 200%); }
"""

"""What docstrings, comments and pages point to is there: files, links, and sections of pages.

A path is a reference where it begins with a folder of the repository. A section is named with its
page (experiments/papers/stm.md, section 3) or with a paper's year (Moré & Thuente, 1994, section
4). On a page, a section without either is its own.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("experiments", "ivs_jax", "scripts", "tests")

LABEL = r"(?:[A-Z]?\d+(?:\.\d+)*|[A-Z]\d*)\b"
PATH = re.compile(rf"(?<![\w./<-])(?:{'|'.join(FOLDERS)})/[\w*./-]*[\w*]")
SIBLING = re.compile(r"(?<![\w./*-])[a-z]\w*\.py\b")  # a program named without its folder
SPAN = re.compile(r"`([\w.-]+(?:/[\w.-]+)+/?|[\w.-]+\.(?:md|py))`")  # a path as code on a page
LINK = re.compile(r"\]\(([^)\s]+)\)")
SECTION = re.compile(
    rf"(?:(?P<page>[\w./-]+\.md), |(?P<year>\b(?:19|20)\d\d), )?"
    rf"\b[Ss]ections? (?P<labels>{LABEL}(?:(?:,| and| to|, and) {LABEL})*)"
)
BARE = re.compile(rf"[\w./-]+\.md[,:]? {LABEL}(?! [a-z])")  # a page and a number without the word
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
NUMBERED = re.compile(rf"({LABEL})[.:]? ")
GONE = re.compile(r"\bspec/|\b[Ss]pec(?: [a-z]+\.md| section| [A-Z]?\d)")  # pages that never were


class Text(NamedTuple):
    """A piece of prose: where it stands, and its words with single spaces between them."""

    line: int
    words: str


def texts_of_python(source: str) -> Iterator[Text]:
    """Docstrings, and comments with those on the lines after them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if (found := ast.get_docstring(node)) is not None:
                yield Text(node.body[0].lineno, _joined(found))
    start, last, parts = 0, -1, list[str]()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1 and parts:
            yield Text(start, _joined(" ".join(parts)))
            parts = []
        start, last = (start if parts else token.start[0]), token.start[0]
        parts.append(token.string.lstrip("# "))
    if parts:
        yield Text(start, _joined(" ".join(parts)))


def texts_of_markdown(source: str) -> Iterator[Text]:
    """Paragraphs; rows of tables and lines of code are in theirs."""
    line = 1
    for part in re.split(r"(\n\s*\n)", source):
        if part.strip():
            yield Text(line, _joined(part))
        line += part.count("\n")


def _joined(text: str) -> str:
    return " ".join(text.split())


def broken(file: Path, root: Path) -> list[str]:
    """Complaints about the references in one file, `place: what is wrong`."""
    source = file.read_text(encoding="utf-8")
    page = file.suffix == ".md"
    found = []
    for line, words in texts_of_markdown(source) if page else texts_of_python(source):
        problems = [
            *_paths(words, file, root),
            *(_links(words, file) if page else ()),
            *_sections(words, file, root),
            *(f"{match[0]!r}: no page of this repository" for match in GONE.finditer(words)),
        ]
        found += [f"{file.relative_to(root)}:{line}: {problem}" for problem in problems]
    return found


def _paths(words: str, file: Path, root: Path) -> Iterator[str]:
    named = {(match[0], root) for match in PATH.finditer(words)}
    if file.suffix == ".py":
        named |= {(match[0], file.parent) for match in SIBLING.finditer(words)}
    else:
        for (span,) in (match.groups() for match in SPAN.finditer(words)):
            first = span.split("/")[0]
            if first not in FOLDERS and ("/" not in span or (file.parent / first).is_dir()):
                named.add((span, file.parent))
    for path, base in sorted(named):
        there = any(base.glob(path)) if "*" in path else (base / path).exists()
        if not there:
            yield f"{path}: no such file"


def _links(words: str, file: Path) -> Iterator[str]:
    for (target,) in (match.groups() for match in LINK.finditer(words)):
        if re.match(r"[a-z]+:", target):  # another site
            continue
        path, _, anchor = unquote(target).partition("#")
        page = file.parent / path if path else file
        if not page.exists():
            yield f"{target}: no such file"
        elif anchor and anchor not in {_slug(heading) for heading in headings(page)}:
            yield f"{target}: no such heading"


def _sections(words: str, file: Path, root: Path) -> Iterator[str]:
    for match in SECTION.finditer(words):
        labels = re.findall(LABEL, match["labels"])
        if match["page"]:
            page = next((p for p in (root, file.parent) if (p / match["page"]).is_file()), None)
            if page is None:
                yield f"{match['page']}: no such page"
                continue
            known = numbers(page / match["page"])
        elif match["year"]:  # of a paper
            continue
        elif file.suffix == ".md":
            known = numbers(file)
        else:
            yield f"{match[0]!r}: of which page? Expected 'PAGE.md, section X'"
            continue
        yield from (f"{match[0]!r}: no section {one}" for one in labels if one not in known)
    yield from (f"{m[0]!r}: expected 'PAGE.md, section X'" for m in BARE.finditer(words))


def headings(page: Path) -> list[str]:
    """The headings of a page, those inside fenced code left out."""
    return HEADING.findall(re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S))


def numbers(page: Path) -> set[str]:
    """The numbers or letters that the headings of a page begin with."""
    return {m[1] for text in headings(page) if (m := NUMBERED.match(re.sub("^Part ", "", text)))}


def _slug(heading: str) -> str:
    """The anchor that code hosts give a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def files() -> list[Path]:
    found = [p for name in FOLDERS for p in (ROOT / name).rglob("*") if p.suffix in (".py", ".md")]
    return sorted([*ROOT.glob("*.md"), *found])


@pytest.mark.skipif(not (ROOT / "experiments").is_dir(), reason="the pages are not in the archive")
def test_every_reference_leads_somewhere():
    assert len(files()) > 300
    assert [problem for file in files() for problem in broken(file, ROOT)] == []


@pytest.fixture
def repository(tmp_path):
    """A repository of one page and one program."""
    (tmp_path / "experiments/papers").mkdir(parents=True)
    (tmp_path / "experiments/run.py").touch()
    page = "# A: title\n\n## 1. One\n\n### 1.2 Two\n\n## B3. Three\n\n```\n# 7. No heading\n```\n"
    (tmp_path / "experiments/papers/a.md").write_text(page)
    return tmp_path


def complaints(repository: Path, name: str, text: str) -> list[str]:
    file = repository / name
    file.write_text(text)
    return [problem.partition(": ")[2] for problem in broken(file, repository)]


def test_headings_have_numbers_and_anchors(repository):
    page = repository / "experiments/papers/a.md"
    assert headings(page) == ["A: title", "1. One", "1.2 Two", "B3. Three"]
    assert _slug("How efficient is this, `really`?") == "how-efficient-is-this-really"


@pytest.mark.parametrize(
    "text",
    [
        "In experiments/papers/a.md, section 1, and in a\n\nparagraph.",
        "As said (experiments/papers/a.md, sections 1, 1.2 and\nB3). Another sentence.",
        "See Moré & Thuente, 1994, section 4, and `runs/a.npz` of experiments/*.py.",
        "Sections are long, and section names too; experiments/papers and run.py.",
    ],
)
def test_what_is_there_is_accepted(repository, text):
    assert complaints(repository, "experiments/b.py", f'"""{text}"""\n') == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("experiments/papers/c.md tells", "experiments/papers/c.md: no such file"),
        ("scripts/nothing --fast", "scripts/nothing: no such file"),
        ("experiments/*.txt", "experiments/*.txt: no such file"),
        ("as in walk.py.", "walk.py: no such file"),
        ("experiments/papers/a.md, section 7", "no section 7"),
        ("experiments/papers/a.md, sections 1 and\nB4", "no section B4"),
        ("experiments/papers/a.md 1.2", "expected 'PAGE.md, section X'"),
        ("(section 1.2)", "of which page?"),
        ("a rule (spec/a.md 1)", "'spec/': no page of this repository"),
        ("a rule (spec section 1)", "'spec section': no page of this repository"),
        ("a rule (spec A6)", "'spec A6': no page of this repository"),
    ],
)
@pytest.mark.parametrize("form", ['"""{}"""\n', 'def f():\n    """{}"""\n', "x = 1  # {}\n"])
def test_what_is_not_there_is_found(repository, form, text, problem):
    source = form.format(text if '"""' in form else text.replace("\n", "\n# "))
    found = complaints(repository, "experiments/b.py", source)
    assert any(problem in one for one in found), found


def test_code_and_other_strings_are_no_references(repository):
    code = 'x = "experiments/none.py"\nspec = "spec/none.md"\nsection = 7\n'
    assert complaints(repository, "experiments/b.py", code) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[page](papers/a.md#1-one), `papers/a.md`, `run.py`", None),
        ("[site](https://example.org/none.md), `made/later.csv`", None),
        ("[page](papers/b.md)", "papers/b.md: no such file"),
        ("[page](papers/a.md#2-two)", "papers/a.md#2-two: no such heading"),
        ("![plot](plot.png)", "plot.png: no such file"),
        ("`walk.py`", "walk.py: no such file"),
        ("`papers/b.md`", "papers/b.md: no such file"),
        ("papers/a.md, section 9", "no section 9"),
        ("# 1. Own\n\nSee section 2.", "no section 2"),
    ],
)
def test_pages_are_read_too(repository, text, problem):
    found = complaints(repository, "experiments/README.md", text)
    assert (not found) if problem is None else any(problem in one for one in found), found

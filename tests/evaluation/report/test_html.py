"""The page as a browser reads it: closed tags, nothing from elsewhere, text never taken as HTML."""

import base64
import io
from html.parser import HTMLParser

import pytest
from matplotlib.figure import Figure
from PIL import Image

from ivs_jax.evaluation.report.html import write_page
from ivs_jax.evaluation.report.pictures import figure_png
from ivs_jax.evaluation.report.sections import Section

VOID = {"meta", "img", "br", "link"}


class Reader(HTMLParser):
    """Checks that tags are closed in order, and keeps cells, text by tag, and images."""

    def __init__(self, page):
        super().__init__()
        self.open: list[str] = []
        self.text: list[tuple[str, str]] = []
        self.images: list[dict[str, str]] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.images += [found] if tag == "img" else []
        self.links += [found["href"]] if "href" in found else []
        self.ids += [found["id"]] if "id" in found else []
        assert tag not in ("script", "link", "iframe") and not any(
            a.startswith("on") for a in found
        )
        assert found.get("src", "data:").startswith("data:")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip() and "style" not in self.open:
            self.text.append((self.open[-1], data.strip()))

    def of(self, tag):
        return [text for kind, text in self.text if kind == tag]


def picture(size, kind="PNG"):
    content = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(content, kind)
    return content.getvalue()


def written(tmp_path, *sections, title="A title", facts=None):
    path = tmp_path / "deep" / "report.html"
    write_page(path.parent, title, facts or {}, sections)
    return Reader(path.read_text(encoding="utf-8")), path.read_text(encoding="utf-8")


def test_facts_text_and_tables_stand_on_the_page_in_order(tmp_path):
    rows = [["bear", -1e-9, 3], ["tennis", 1 / 3, None]]
    section = Section("Scores", "One.\n\nTwo\nlines.", (["sequence", "J", "frames"], rows))
    page, _ = written(tmp_path, section, Section("More"), facts={"J&F": "0.667", "device": "cpu"})
    assert page.of("h1") == page.of("title") == ["A title"]
    assert page.of("dt") == ["J&F", "device"] and page.of("dd") == ["0.667", "cpu"]
    assert page.of("h2") == page.of("a") == ["Scores", "More"]
    assert page.links == [f"#{name}" for name in page.ids] and len(set(page.ids)) == 2
    assert page.of("p") == ["One.", "Two\nlines."]
    assert page.of("th") == ["sequence", "J", "frames"]
    assert page.of("td") == ["bear", "0.000", "3", "tennis", "0.333"]  # None is an empty cell


def test_whatever_is_given_is_text(tmp_path):
    bad = '<script>alert("x")</script>&amp;'
    section = Section(bad, bad, ([bad], [[bad]]), [(bad, picture((4, 4)))])
    page, text = written(tmp_path, section, title=bad, facts={bad: bad})  # Reader refuses scripts
    assert "<script" not in text
    for tag in ("title", "h1", "dt", "dd", "a", "h2", "p", "th", "td", "figcaption"):
        assert page.of(tag) == [bad]
    assert page.images[0]["alt"] == bad


def test_pictures_are_inside_with_their_size(tmp_path):
    wide, tall = picture((900, 300)), picture((30, 40), "JPEG")
    figure = Figure(figsize=(5, 2.5))
    figure.add_subplot().plot([0, 1])
    plot = figure_png(figure)
    page, text = written(
        tmp_path, Section("S", images=[("wide", wide), ("tall", tall), ("plot", plot)])
    )
    kinds = ("image/png", "image/jpeg", "image/png")
    for image, content, kind in zip(page.images, (wide, tall, plot), kinds, strict=True):
        head, data = image["src"].split(",")
        assert head == f"data:{kind};base64" and base64.b64decode(data) == content
    assert page.of("figcaption") == ["wide", "tall", "plot"]
    sizes = [(image["width"], image["height"]) for image in page.images]
    assert sizes == [("900", "300"), ("30", "40"), ("360", "180")]  # a figure at 72 pixels an inch
    assert [image.get("class") for image in page.images] == ["strip", None, None]
    assert Image.open(io.BytesIO(plot)).size == (720, 360)  # twice as sharp as it is shown
    assert "default-src 'none'" in text and "http:" not in text and "https:" not in text
    assert "prefers-color-scheme: dark" in text and "width=device-width" in text


def test_wrong_pictures_and_tables_are_named_and_leave_no_file(tmp_path):
    with pytest.raises(
        ValueError, match=r"S: the picture 'plot' is neither PNG nor JPEG \(3 bytes"
    ):
        written(tmp_path, Section("S", images=[("plot", b"GIF")]))
    with pytest.raises(ValueError, match=r"S: a row of 1 cells \(bear\), expected 2"):
        written(tmp_path, Section("S", table=(["sequence", "J"], [["bear"]])))
    assert not list(tmp_path.rglob("*.html"))

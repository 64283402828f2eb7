"""The page of a NoC run: its figures, and objects in the order of how hard they were."""

import pytest

from ivs_jax.evaluation.noc import NocRule, Outputs, run_noc
from tests.evaluation.noc.test_run import Growing, sample
from tests.evaluation.report.test_html import Reader


def page_of(folder):
    return Reader((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_has_the_figures_and_ranks_the_objects(tmp_path):
    # `rows` of a box are found one a click: 0.9 of 10 rows needs 9 clicks, of 5 rows 5. The last
    # object is too large to be found, and one has no mask.
    samples = [sample("ten"), sample("five", rows=5), sample("large", rows=14), sample("none", 0)]
    report = run_noc(samples, Growing(), NocRule(max_clicks=9), Outputs(page=tmp_path))
    page = page_of(tmp_path)
    facts = dict(zip(page.of("dt"), page.of("dd"), strict=True))
    assert facts["NoC@85"] == f"{report.noc['85']:.2f}" == "7.67" and facts["objects"] == "3"
    titles = ["Clicks", "Run", "Easiest objects", "Hardest objects", "Not measured"]
    assert page.of("h2") == titles
    cells = page.of("td")
    easy = cells[cells.index("five") :][:8]
    assert easy == ["five", "5", "5", "1.000", "ten", "9", "9", "0.900"]
    hard = cells[cells.index("large") :][:6]
    assert hard == ["large", "never", "9", "0.643", "none", "mask without object"]
    assert len(page.images) == 4  # two curves, two sheets


@pytest.mark.parametrize("count", [1, 2])
def test_a_page_of_few_objects(tmp_path, count):
    samples = [sample(f"object {i}") for i in range(count)]
    run_noc(samples, Growing(), outputs=Outputs(page=tmp_path))
    assert page_of(tmp_path).of("h2")[2:] == ["Easiest objects", "Hardest objects"][:count]

"""All documents: their links lead somewhere, and Markdown leaves their formulas as they are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def anchors(page):
    """What GitHub makes of a page's headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings_that_exist(page):
    for path, heading in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
        if path.startswith("http"):
            continue
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not heading or heading in anchors(target), (path, heading)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_markdown_leaves_formulas_alone(page):
    text = page.read_text(encoding="utf-8")
    formulas = re.findall(r"\$\$(.*?)\$\$", text, re.DOTALL)
    assert len(formulas) == text.count("$$") / 2
    # Markdown takes the backslash from \, and \\, and takes a * for the beginning of emphasis.
    assert not [formula for formula in formulas if re.search(r"\\[^a-zA-Z\s]|\*", formula)]

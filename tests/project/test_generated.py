"""The generated parts of the documents are what scripts/generate.py makes of the declarations."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MADE = runpy.run_path(str(ROOT / "scripts" / "generate.py"))


def test_the_documents_are_current():
    pages = MADE["pages"]()
    assert {path.name for path in pages} == {"columns.md", "README.md"}
    for path, text in pages.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run scripts/generate.py"


def test_every_part_of_the_readme_stands_between_its_comments():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, part in MADE["PARTS"].items():
        start, end = f"<!-- {name}: made by scripts/generate.py -->", f"<!-- end of {name} -->"
        assert f"{start}\n{part()}{end}\n" in text

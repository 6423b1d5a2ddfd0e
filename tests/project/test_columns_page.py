"""docs/columns.md is what scripts/columns.py makes of the declared columns."""

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_current():
    made = runpy.run_path(str(ROOT / "scripts" / "columns.py"))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"]()

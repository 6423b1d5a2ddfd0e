"""The commands. Each sets up signals and streams before anything large is imported."""

from __future__ import annotations

from nnlib.terminal import run


def study() -> int:
    """Run `gdconv`: a study, with the overrides of the command line."""

    def main() -> int:
        from gdconv.cli.main import main

        return main()

    return run("gdconv", main, "; the same command continues the study")


def report() -> int:
    """Run `gdconv-report`: the figures and the page of a study."""

    def main() -> int:
        from gdconv.report import report

        return report.main()

    return run("gdconv-report", main)


def table() -> int:
    """Run `gdconv-table`: what a table holds."""

    def main() -> int:
        from gdconv.cli.table import main

        return main()

    return run("gdconv-table", main)


def verify() -> int:
    """Run `gdconv-verify`: the coursework's statements on one run."""

    def main() -> int:
        from gdconv.cli.main import verify

        return verify()

    return run("gdconv-verify", main)

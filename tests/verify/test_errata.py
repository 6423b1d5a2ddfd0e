"""The stored experiment `errata`: its thresholds, its figure and its words in the report."""

from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from gdconv.config.problems import Gaussian, Prescribed
from gdconv.config.runs import RunConfig
from gdconv.config.sections import Eigenvector, Step, Zeros
from gdconv.methods.gradient_descent import GradientDescent
from gdconv.report.figures import catalogue as figures
from gdconv.report.summary import errata_facts
from gdconv.sweep.sweep import run_study

CONF = Path(__file__).resolve().parents[2] / "conf"


@pytest.fixture(scope="module")
def study():
    """The stored experiment: both starts, K/λmax from 2 down to 0.05."""
    stored = OmegaConf.to_container(OmegaConf.load(CONF / "experiment" / "errata.yaml"))
    assert stored["hydra"]["sweeper"]["params"] == {"start": "zeros,eigenvector"}
    assert stored["step"] == {"unit": "lambda_max", "value": "${logspace:-0.30103,1.30103,49}"}
    step = Step(value=np.logspace(-0.30103, 1.30103, 49))
    method = GradientDescent(iterations=stored["method"]["iterations"])
    return run_study(
        [RunConfig(Gaussian(), start, method, step) for start in (Zeros(), Eigenvector())]
    )


def thresholds(runs):
    """Largest K/λmax that breaks the coursework's bound, or diverges, and the grid's next one."""
    at = (runs.K / runs.lambda_max).to_numpy()
    broken = ~runs.bound_coursework_holds.astype(bool).to_numpy()
    diverged = (runs.status == "diverged").to_numpy()
    return [(at[some].max(), at[~some].min()) for some in (broken, diverged)]


@pytest.mark.parametrize("start", ["zeros", "eigenvector"])
def test_measured_thresholds_are_those_of_theory(study, start):
    runs = study.runs[study.runs.start == start]
    at = runs.K / runs.lambda_max
    assert (at.min(), at.max()) == pytest.approx((0.05, 2), rel=1e-5)
    kappa = runs.condition_number.iloc[0]
    (broken, holds), (diverged, not_diverged) = thresholds(runs)
    # All on one side are broken, or diverge, and all on the other are not.
    assert broken < (1 + 1 / kappa) / 2 < holds
    assert diverged < 0.5 < not_diverged
    resolution = 1.001 * (2 / 0.05) ** (1 / 48)
    assert holds / broken < resolution
    assert not_diverged / diverged < resolution
    assert runs.bound_holds.all()


def test_the_figure_shows_first_violations_and_both_thresholds(study):
    drawn, _ = figures.draw(study, ["errata"])
    assert drawn["errata"].axes[0].get_yticklabels()[-1].get_text() == "never"
    for ax, start in zip(drawn["errata"].axes, ("eigenvector", "zeros"), strict=True):
        runs = study.runs[study.runs.start == start]
        assert f"start {start}" in ax.get_title()
        smallest = 1 / runs.condition_number.iloc[0]
        by_label = {line.get_label(): line for line in ax.lines}
        for label, at in (
            (r"$\lambda_{\max}/2$", 0.5),
            (r"$(\lambda_{\min}+\lambda_{\max})/2$", (1 + smallest) / 2),
            (r"$\lambda_{\min}$", smallest),
        ):
            assert by_label[label].get_xdata() == pytest.approx([at, at])
        never = ax.get_yticks()[-1]
        for label, chosen in (("diverged", True), ("did not diverge", False)):
            some = runs[(runs.status == "diverged") == chosen]
            x, y = by_label[label].get_data()
            assert x == pytest.approx((some.K / some.lambda_max).to_numpy())
            first = some.first_violation_coursework.astype(float).fillna(never)
            assert y.tolist() == first.tolist()
        shades = [patch.get_x() + patch.get_width() for patch in ax.patches]
        assert shades == pytest.approx([0.5, (1 + smallest) / 2])


def test_the_report_says_it_in_words(study):
    facts = errata_facts(study.runs)
    assert facts["coursework's bound broken"] == (
        "at K/λmax up to 0.632; by theory below (λmin + λmax)/2, that is 0.659"
    )
    assert facts["diverged"].startswith("at K/λmax up to 0.464; by theory below λmax/2")
    harmless = study.runs[study.runs.relative_step < 1.4]
    assert errata_facts(harmless) == {}


def test_a_study_without_steps_beyond_the_edge_has_no_such_figure():
    steps = Step(value=np.linspace(0.1, 1.9, 12))
    _, omitted = figures.draw(run_study(RunConfig(Gaussian(60, 4), step=steps)), ["errata"])
    assert omitted == {"errata": "no problem has verdicts at 8 relative steps on both sides of 2"}


def test_a_study_in_which_nothing_diverged_is_laid_out():
    """Along v_min the gap shrinks beyond the edge too, until rounding errors along v_max grow."""
    steps = Step(value=(0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.9, 2.1))
    problem = Prescribed(20, 2, condition_number=3.0)
    config = RunConfig(problem, Eigenvector("min"), GradientDescent(iterations=50), steps)
    drawn, _ = figures.draw(run_study(config), ["errata"])
    (ax,) = drawn["errata"].axes
    assert "diverged" not in [line.get_label() for line in ax.lines]
    assert ax.get_position().height > 0.4

"""The figure final_gaps: what is left of the gap at the end of each run."""

from matplotlib.figure import Figure

from gdconv.report.figures.drawing import Plot


def draw(tables):
    """Draw one marker for each run."""
    runs = tables.runs.dropna(subset=["final_gap"])
    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.loglog(runs["step_size"], runs["final_gap"] / runs["initial_gap"], "ok", fillstyle="none")
    axes.set(xlabel="step size", ylabel="final gap/initial gap")
    return figure


PLOT = Plot(
    "final_gaps",
    "What is left of the gap at the end of each run, against the step size.",
    {"runs": ("final_gap", "initial_gap", "step_size")},
    draw,
)

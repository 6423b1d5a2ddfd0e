"""Run a study from Python: three step sizes on three random problems, measured and predicted.

    .venv/bin/python docs/examples/study_from_python.py

A step of 1 in the unit `optimal` is the fastest one, 2/(λmin + λmax). Nothing is written to disk.
"""

from gdconv import Gaussian, RunConfig, Step, run_study

config = RunConfig(
    Gaussian(n_samples=200, n_features=50),
    step=Step(unit="optimal", value=[0.5, 1.0, 1.2]),
    repetitions=3,
)
runs = run_study(config).runs
columns = ["rate_predicted", "rate_measured", "iterations_to_tolerance"]
print(runs.groupby("step_value")[columns].median())

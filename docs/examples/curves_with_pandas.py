"""Read a study's tables with pandas: how the gap falls with the iteration, for each step size.

    .venv/bin/python docs/examples/curves_with_pandas.py

Start it in the project's folder, where the stored study results/reference is. curves.csv has a row
for each recorded iteration of each run. `run_id` leads to the row of that run in runs.csv.
"""

import pandas as pd

runs = pd.read_csv("results/reference/runs.csv")
curves = pd.read_csv("results/reference/curves.csv")

chosen = runs[(runs.n_features == 50) & (runs.start == "zeros") & (runs.repetition == 0)]
joined = curves.merge(chosen[["run_id", "initial_gap"]], on="run_id")
joined["relative_gap"] = joined.gap / joined.initial_gap
table = joined.pivot(index="iteration", columns="relative_step", values="relative_gap")
print(table[[0.1, 1.0, 1.95]].head(10))

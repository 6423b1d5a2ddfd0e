"""Run gradient descent on an X and a y of your own.

    .venv/bin/python docs/examples/own_problem.py

gdconv reads a problem from a CSV table. So write your X and y as columns of a table, and name the
column of y as the target. gdconv adds a column of ones to X, so the model has an intercept.
Start the script in the project's folder. It writes results/own_problem.csv.
"""

import numpy as np
import pandas as pd

from gdconv import RunConfig, Step, Table, run_study

rng = np.random.default_rng(0)
X = rng.uniform(size=(100, 2))
y = X @ [1.0, -2.0] + 0.5 + 0.1 * rng.normal(size=100)

path = "results/own_problem.csv"
pd.DataFrame(X, columns=["height", "width"]).assign(price=y).to_csv(path, index=False)
tables = run_study(RunConfig(Table(path, target="price"), step=Step(unit="optimal")))
print(tables.runs.loc[0, ["condition_number", "rate_predicted", "rate_measured", "loss_star"]])

"""Run gradient descent on an X and a y of your own.

    .venv/bin/python docs/examples/own_problem.py

With a DataFrame, gdconv knows the names of the columns and adds a column of ones to X, so the model
has an intercept. Nothing is written to disk.
"""

import numpy as np
import pandas as pd

from gdconv import Step, run_study

rng = np.random.default_rng(0)
X = rng.uniform(size=(100, 2))
y = X @ [1.0, -2.0] + 0.5 + 0.1 * rng.normal(size=100)

frame = pd.DataFrame(X, columns=["height", "width"]).assign(price=y)
tables = run_study(frame, target="price", step=Step(unit="optimal"))
print(tables.runs.loc[0, ["condition_number", "rate_predicted", "rate_measured", "loss_star"]])
print(tables.coefficients[["column", "coefficient"]])

"""The moments of sgd as report.html computes them, from the sums of products in moments.csv."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

FACTORS = ["first", "second", "third", "fourth"]
# A page has the moments of the first problems, up to so many sums; with 10 features one has 990.
MOST_SUMS = 30_000
# Larger ones may not fit into a float any more after the page has multiplied them.
LARGEST = 1e280


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of moments.csv that a page shows: those of whole problems."""
    problems = table.groupby("problem_id", sort=False)
    sizes, k = problems.size(), problems["fourth"].max().astype(int)
    whole = sizes == [math.comb(each + 4, 4) - each - 1 for each in k]
    whole &= (problems["moment"].agg(lambda sums: (sums.abs() < LARGEST).all())).astype(bool)
    kept = sizes.where(whole, 0).cumsum() <= MOST_SUMS
    return table[table["problem_id"].isin(sizes.index[whole & kept])]


def matrix(
    table: pd.DataFrame | None, runs: pd.DataFrame, spectrum: pd.DataFrame
) -> dict[str, Any]:
    """Return as `moments` the numbers with which a step of sgd multiplies the moments.

    The moments are one vector: of E eeᵀ the diagonal and then what is above it, times √2, so that
    angles stay; E e; and 1. A step multiplies each by (1 − ηλ)(1 − ηλ') − φη²λλ', with λ and λ'
    from `first` and `second`, and adds φη² rows times the vector; see docs/sgd.md.
    """
    if table is None:
        return {}
    positive = spectrum[spectrum["eigenvalue"] > 0]
    values = positive["eigenvalue"].to_numpy()
    error, k = np.sqrt(positive["error_component_squared"].to_numpy()), len(positive)
    factors = table[["first", "second", "third", "fourth"]].to_numpy(dtype=int).tolist()
    sums = dict(zip(map(tuple, factors), table["moment"].tolist(), strict=True))
    pairs = [(i, i) for i in range(1, k + 1)] + list(combinations(range(1, k + 1), 2))
    of_vector = [*pairs, *((0, i) for i in range(1, k + 1)), (0, 0)]
    weights = np.array([1.0 if i == j else math.sqrt(2) for i, j in pairs])
    # A residual times a component stands twice in (x_iᵀe + r_i)².
    columns = np.concatenate([weights, np.full(k, 2.0), [1.0]])
    products = [[sums[tuple(sorted(a + b))] for b in of_vector] for a in pairs]
    n = int(runs["n_samples"].iloc[0])
    rows = 4 * n * weights[:, None] * np.array(products) * columns
    first, second = (np.array([values[pair[n] - 1] for pair in pairs]) for n in (0, 1))
    squares = [weights[a] * error[i - 1] * error[j - 1] for a, (i, j) in enumerate(pairs)]
    found = {
        "n": n,
        "critical": min(n, max(1, round(float(values.sum() / values[0])))),
        "first": [*first.tolist(), *values.tolist(), 0.0],
        "second": [*second.tolist(), *[0.0] * (k + 1)],
        "rows": rows.tolist(),
        "start": [*squares, *error.tolist(), 1.0],
    }
    return {"moments": found}

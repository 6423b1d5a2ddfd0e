"""Tables that come with packages of R and Python: the fit is that of an independent calculation.

Each is read by the command that a user would try first, or by the one that its answer suggests.
tests/data/public/README.md says where they come from. pandas and NumPy compute the same from the
file in their own way. The sums of squares are those of statsmodels (OLS).
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gdconv.config.runs import RunConfig
from gdconv.sweep.sweep import run_study

PUBLIC = Path(__file__).parents[1] / "data" / "public"
BLANKS, NAMES_OF_ROWS = {"sep": r"\s+"}, {"index_col": 0}

# File, target, other keys, how pandas has to be told to read it, and the residual sum of squares.
TABLES = [
    ("cancer.csv", "cancer", {}, {}, 50524.8576),
    ("ccard.csv", "AVGEXP", {}, {}, 5432562.03),
    ("china_smoking.csv", "smoking_no_cancer_no", {"drop": ["Location"]}, {}, 1043.42001),
    ("committee.csv", "BILLS104", {"drop": ["COMMITTEE"]}, {}, 34717.3278),
    ("copper.csv", "WORLDCONSUMPTION", {}, {}, 1454199.52),
    ("cpunish.csv", "EXECUTIONS", {"drop": ["STATE"]}, {}, 406.668571),
    ("danish.csv", "lrm", {"drop": ["period"]}, {"encoding": "utf-8-sig"}, 0.0924981638),
    ("elec_equip.csv", "STS.M.I7.W.TOVT.NS0016.4.000", {"dates": ["DATE"]}, {}, 55380.0341),
    ("elnino.csv", "DEC", {}, {}, 4.64698026),
    ("engel.csv", "foodexp", {}, {}, 732903.347),
    ("grunfeld.csv", "invest", {"text": "one_hot"}, {}, 500172.613),
    ("heart.csv", "survival", {}, {}, 11212553.1),
    ("interest.txt", "x2", {"header": False}, {"sep": "\\s+", "header": None}, 0.0283682543),
    ("longley.csv", "TOTEMP", {}, {}, 836424.056),
    ("nile.csv", "volume", {}, {}, 2221263.65),
    ("scotvote.csv", "YES", {"drop": ["COUNCILDIST"]}, {}, 312.03751),
    ("spector.csv", "GRADE", {}, BLANKS, 4.17747349),
    ("stackloss.csv", "STACKLOSS", {}, {}, 178.829962),
    ("statecrime.csv", "murder", {"drop": ["state"]}, {}, 78.3157497),
    ("strikes.csv", "duration", {}, {}, 112764.434),
    ("sunspots.csv", "SUNACTIVITY", {}, {}, 480016.182),
    ("modechoice.csv", "gc", {}, {"sep": ";"}, 2453.1334),
    ("anes96.txt", "vote", {}, {"sep": "\t"}, 2.71571056),
    ("co2.csv", "co2", {"dates": ["date"], "missing": "drop_rows"}, {}, 142.217264),
    ("linnerud.txt", "Jumps", {}, BLANKS, 27496.9176),
    ("weather.csv", "temp_max", {"dates": ["date"], "text": "one_hot"}, {}, 235.735671),
    ("electricity.csv", "net_generation", {"dates": ["year"], "text": "one_hot"}, {}, 983259371),
    ("mtcars.csv", "mpg", {}, NAMES_OF_ROWS, 147.49443),
    ("swiss.csv", "Fertility", {}, NAMES_OF_ROWS, 2105.04293),
    ("airquality.csv", "Ozone", {"missing": "drop_rows"}, NAMES_OF_ROWS, 45682.927),
    ("warpbreaks.csv", "breaks", {"text": "one_hot"}, NAMES_OF_ROWS, 6747.88889),
    ("ToothGrowth.csv", "len", {"text": "one_hot"}, NAMES_OF_ROWS, 1022.55504),
    ("PlantGrowth.csv", "weight", {"text": "one_hot"}, NAMES_OF_ROWS, 10.49209),
    ("trees.csv", "Volume", {}, NAMES_OF_ROWS, 421.921359),
    ("attitude.csv", "rating", {}, NAMES_OF_ROWS, 1149.00032),
    ("Puromycin.csv", "rate", {"text": "one_hot"}, NAMES_OF_ROWS, 14206.4132),
    ("LifeCycleSavings.csv", "sr", {}, NAMES_OF_ROWS, 650.712998),
    ("InsectSprays.csv", "count", {"text": "one_hot"}, NAMES_OF_ROWS, 1015.16667),
    ("sleep.csv", "extra", {}, NAMES_OF_ROWS, 46.7521212),
    ("women.csv", "weight", {}, NAMES_OF_ROWS, 30.2333333),
    ("freeny.csv", "y", {}, NAMES_OF_ROWS, 0.00737499768),
    (
        "Prestige.csv",
        "prestige",
        {"text": "one_hot", "missing": "drop_rows"},
        NAMES_OF_ROWS,
        4505.85897,
    ),
    ("Duncan.csv", "prestige", {"text": "one_hot"}, NAMES_OF_ROWS, 3797.95474),
    ("Davis.csv", "weight", {"text": "one_hot", "missing": "drop_rows"}, NAMES_OF_ROWS, 1467.41107),
    ("Freedman.csv", "crime", {"missing": "drop_rows"}, NAMES_OF_ROWS, 73863557.6),
    (
        "Arthritis.csv",
        "Age",
        {"text": "one_hot"},
        {"index_col": 0, "keep_default_na": False},
        12315.4276,
    ),
    ("hills.csv", "time", {}, NAMES_OF_ROWS, 6891.86734),
    ("cement.csv", "y", {}, NAMES_OF_ROWS, 47.8636394),
]


def independent(name, target, keys, options):
    """X without a column of ones, and y, as pandas makes them."""
    frame = pd.read_csv(PUBLIC / name, **options)
    frame.columns = [str(column).strip(" '") for column in frame.columns]
    if keys.get("header") is False:
        frame.columns = [f"x{number}" for number in range(1, frame.shape[1] + 1)]
    frame = frame.drop(columns=keys.get("drop", []))
    for column in keys.get("dates", []):
        texts = frame[column].astype(str).str.strip()
        dates = pd.to_datetime(texts, format="mixed" if "-1-" in texts[0] else None)
        frame[column] = (dates - dates.min()) / pd.Timedelta(days=1)
    if "missing" in keys:
        frame = frame.dropna()
    if keys.get("text") == "drop":
        frame = frame.select_dtypes("number")
    X = pd.get_dummies(frame.drop(columns=target), drop_first=True, dtype=float)
    # Of a column of texts, pandas puts the new columns behind all others.
    places = list(frame.columns)
    made = {each: each if each in places else str(each).rpartition("_")[0] for each in X.columns}
    order = sorted(X.columns, key=lambda each: places.index(made[each]))
    return X[order].to_numpy(float), frame[target].to_numpy(float)


def words(name, target, keys):
    """The command as it is typed."""
    lists = {key: f"[{','.join(value)}]" for key, value in keys.items() if isinstance(value, list)}
    plain = {key: str(value).lower() for key, value in keys.items() if key not in lists}
    given = {"path": str(PUBLIC / name), "target": target} | lists | plain
    return ["problem=table", *(f"problem.{key}={value}" for key, value in given.items())]


@pytest.mark.parametrize(("name", "target", "keys", "options", "squares"), TABLES)
def test_the_fit_is_that_of_others(gdconv, name, target, keys, options, squares):
    (config,) = gdconv(*words(name, target, keys), "method.iterations=3", composed=True)
    tables = run_study(RunConfig(config.problem, method=config.method))
    X, y = independent(name, target, keys, options)
    run = tables.runs.iloc[0]
    assert run.status != "failed"
    assert (run.n_samples, run.n_features) == (len(X), X.shape[1] + 1)
    # Columns of one size, so that lstsq loses few digits. The rank stays the same.
    centred = X - X.mean(axis=0)
    scale = np.abs(centred).max(axis=0)
    scaled = np.column_stack([centred / np.where(scale > 0, scale, 1), np.ones(len(X))])
    w, _, rank, _ = np.linalg.lstsq(scaled, y, rcond=None)
    assert run["rank"] == rank
    # lstsq is off by eps times the condition number of the scaled columns, below 1e7, times ‖y‖.
    residual = y - scaled @ w
    size = np.linalg.norm(y)
    assert run.loss_star == pytest.approx(residual @ residual, rel=1e-8, abs=1e-12 * size**2)
    assert run.loss_star == pytest.approx(squares, rel=1e-6, abs=1e-12 * size**2)
    coefficients = tables.coefficients.coefficient.to_numpy()
    assert X @ coefficients[:-1] + coefficients[-1] == pytest.approx(
        (scaled @ w).tolist(), rel=1e-7, abs=1e-7 * size
    )

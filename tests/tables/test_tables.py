"""The CSV tables: floats read back bit for bit, rows are sorted, and damage is refused."""

import numpy as np
import pandas as pd
import pytest

from gdconv.config.problems import Gaussian
from gdconv.config.runs import RunConfig, expand
from gdconv.config.sections import Step
from gdconv.experiment.group import GroupTables, run_group
from gdconv.tables.columns import COLUMNS, QUANTITIES
from gdconv.tables.csv import decode, encode, header, read

# The contract with everyone who reads the files.
RUNS = """run_id problem_id status problem problem_options content n_samples n_features rank noise
seed repetition start start_which start_radius method method_options momentum step_unit step_value
step_size K relative_step lambda_min lambda_min_positive lambda_max condition_number nu stable
step_limit nu_coursework rate_predicted rate_measured rate_standard_error convergence order
iterations curve_rows coefficient_rows moment_rows iterations_to_tolerance iterations_predicted
iterations_average growth_predicted loss_star
initial_gap final_gap initial_distance final_distance gap_floor bound_holds bound_coursework_holds
first_violation_coursework bound_over_gap_median delayed_at
step_limit_fourth_moment fourth_moment_exact gap_stationary averaging_constant batch_critical
expectation_agrees
initial_loss final_loss threshold first_crossing first_rise sharpness_tail_mean
sharpness_tail_spread dead_units verdict
error"""
CURVES = """run_id problem n_features repetition relative_step iteration loss gap distance_squared
coefficient_step coefficient_momentum restarts gap_exact gap_average gap_bound
gap_bound_coursework
gap_bound_relative gap_bound_sharp
distance_bound gap_floor gap_standard_error gap_p10 gap_p50 gap_p90 gap_expected gap_of_mean
gap_high_dimension gradient_norm sharpness sharpness_over_threshold weight_1 weight_2"""
EIGENVALUES = """problem_id n_samples n_features seed repetition index eigenvalue
error_component_squared"""
COEFFICIENTS = "problem_id run_id column coefficient"
MOMENTS = "problem_id first second third fourth moment"


def test_columns():
    assert list(COLUMNS["runs"]) == RUNS.split()
    assert list(COLUMNS["curves"]) == CURVES.split()
    assert list(COLUMNS["eigenvalues"]) == EIGENVALUES.split()
    assert list(COLUMNS["coefficients"]) == COEFFICIENTS.split()
    assert list(COLUMNS["moments"]) == MOMENTS.split()


def table(**columns):
    return GroupTables(columns, {}, {}, None, None)


def test_floats_read_back_bit_for_bit():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**63, size=2000).view(np.float64)
    values = values[np.isfinite(values)]
    values = [*values.tolist(), 5e-324, 1.7976931348623157e308, 0.1, 1e22, 1e-5, -0.0]
    ids = [f"{index:016x}" for index in range(len(values))]
    rows = encode(
        table(
            run_id=ids,
            status=["converged"] * len(ids),
            problem=["gaussian"] * len(ids),
            start=["zeros"] * len(ids),
            method=["gradient_descent"] * len(ids),
            step_unit=["K"] * len(ids),
            final_gap=values,
        )
    )
    found = decode([rows]).runs.set_index("run_id").loc[ids].final_gap.to_numpy()
    assert (found.view(np.int64) == np.array(values).view(np.int64)).all()


def test_what_does_not_apply_is_empty():
    rows = encode(
        table(run_id=["0" * 16], status=["failed"], seed=[2**63 - 1], rank=[None], nu=[np.nan])
    )
    assert rows.runs.decode() == "0" * 16 + ",,failed,,,,,,,," + str(2**63 - 1) + "," * 60 + "\n"
    run = decode([rows]).runs.iloc[0]
    assert run.seed == 2**63 - 1
    assert pd.isna(run[["rank", "nu", "bound_holds", "error", "problem"]]).all()


def test_infinity_is_not_written():
    assert b"inf" not in encode(table(run_id=["0"], status=["diverged"], nu=[np.inf])).runs


def test_text_survives_quotes_and_commas():
    error = 'ValueError: "a", b'
    rows = encode(table(run_id=["0"], status=["failed"], error=[error]))
    assert decode([rows]).runs.error[0] == error


def test_a_row_is_a_line_whatever_its_text():
    errors = ["a\nb", "a\r\nb", "a\rb", "\n", 'a,\n"b"', "a\u2028b"]
    rows = encode(table(run_id=list("012345"), status=["failed"] * 6, error=errors))
    assert rows.runs.count(b"\n") == 6
    assert b"\r" not in rows.runs
    found = decode([rows]).runs.error.fillna("")
    assert found.tolist() == ["a b", "a b", "a b", "", 'a, "b"', "a b"]


def test_a_column_that_is_not_in_the_format_is_refused():
    with pytest.raises(ValueError, match="runs has no column speed"):
        encode(table(run_id=["0"], status=["failed"], speed=[1.0]))


def groups():
    configs = [RunConfig(Gaussian(n_features=d), step=Step(value=[1.0, 0.5])) for d in (20, 3)]
    return [encode(run_group(list(expand(config)))) for config in configs]


def test_rows_are_sorted_for_a_reader():
    tables = decode(groups())
    order = tables.runs[["n_features", "step_value"]].to_numpy().tolist()
    assert order == [[3, 0.5], [3, 1.0], [20, 0.5], [20, 1.0]]
    assert tables.curves.run_id.drop_duplicates().tolist() == tables.runs.run_id.tolist()
    for _, curve in tables.curves.groupby("run_id"):
        assert curve.iteration.is_monotonic_increasing
    assert tables.eigenvalues["index"].tolist() == [*range(1, 4), *range(1, 21)]


def write(folder, parts):
    for name in COLUMNS:
        content = b"".join(getattr(rows, name) for rows in parts)
        (folder / f"{name}.csv").write_bytes(header(name) + content)


def test_read_takes_of_a_running_study_what_is_complete(tmp_path):
    first, second = groups()
    write(tmp_path, [first])
    whole = read(tmp_path)
    with (tmp_path / "curves.csv").open("ab") as file:
        file.write(second.curves[:1000])
    with (tmp_path / "runs.csv").open("ab") as file:
        file.write(second.runs[:50])
    for found, expected in zip(read(tmp_path), whole, strict=True):
        pd.testing.assert_frame_equal(found, expected)


def test_read_refuses_other_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path)
    write(tmp_path, groups())
    path = tmp_path / "runs.csv"
    path.write_bytes(path.read_bytes().replace(b"gap_floor", b"floor", 1))
    with pytest.raises(ValueError, match=r"runs\.csv: line 1"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("table", "old", "new", "words"),
    [
        ("runs", b",gaussian,", b",", "line 2 has .* cells instead of"),
        ("curves", b"\n", b"\n\n", "line 2 has 1 cells instead of"),
        ("eigenvalues", b",1,", b",one,", "could not convert|invalid literal|[Uu]nable to parse"),
        ("eigenvalues", b",1,", b",99999999999999999999,", "cannot safely cast|too large|int64"),
    ],
)
def test_read_names_the_file_that_is_damaged(tmp_path, table, old, new, words):
    write(tmp_path, groups())
    path = tmp_path / f"{table}.csv"
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"^{table}\.csv: .*({words})"):
        read(tmp_path)


def test_a_quantity_has_one_name_for_little_and_one_for_much_room():
    features, step, noise = (QUANTITIES[n] for n in ("n_features", "relative_step", "noise"))
    assert (features.heading, features.title) == ("d", "number of features d")
    assert (step.heading, step.title) == ("relative step", "relative step ηλmax")
    assert (features.tell("20"), noise.tell("1")) == ("d = 20", "noise 1")
    assert features.tell("20", lambda symbol: f"${symbol}$") == "$d$ = 20"


def test_no_two_quantities_of_the_runs_share_a_heading():
    headings = [QUANTITIES[name].heading for name in COLUMNS["runs"]]
    assert len(set(headings)) == len(headings)

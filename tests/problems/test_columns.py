"""Which columns of a table are features, and what becomes of texts, dates and missing cells."""

import numpy as np
import pandas as pd
import pytest

from gdconv.config.problems import Table
from gdconv.config.rules import ConfigError
from gdconv.config.runs import RunConfig, problem_options
from gdconv.config.sections import Step
from gdconv.problems.families import make
from gdconv.problems.table import reading
from gdconv.sweep.sweep import run_study

PETS = """\
kind,day,age,weight,price
dog,2024-03-01,2,,120
cat,2024-03-02,5,4.5,80
dog,2024-03-05,,11,90
fish,2024-03-01,1,0.5,10
cat,2024-03-09,3,4,
"""


@pytest.fixture
def written(tmp_path):
    def write(text, name="t.csv"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def read(path, target, **keys):
    data = reading.read(Table(path, target, **keys))
    columns = dict(zip(data.facts.names, data.X.T.tolist(), strict=True))
    told = [each.partition(": ")[2] for each in data.facts.notices]
    return columns, data.y.tolist(), told


def refusal(path, target, **keys):
    with pytest.raises(ConfigError) as caught:
        reading.read(Table(path, target, **keys))
    return str(caught.value).replace(path, "FILE")


ABC = "x1,x2,b,Mass (kg),y\n1,2,3,4,5\n2,3,5,7,1\n"


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({}, ["x1", "x2", "b", "Mass (kg)"]),
        ({"columns": "b"}, ["b"]),
        # In the order of the file.
        ({"columns": ["b", "x*"]}, ["x1", "x2", "b"]),
        ({"columns": ["x*", "y"]}, ["x1", "x2"]),
        ({"columns": ["Mass (kg)"]}, ["Mass (kg)"]),
        ({"drop": ["x?"]}, ["b", "Mass (kg)"]),
        ({"drop": ["*[b)]"]}, ["x1", "x2"]),
        ({"columns": ["x*", "b"], "drop": "x2"}, ["x1", "b"]),
    ],
)
def test_columns_are_chosen_by_name_or_pattern(written, keys, names):
    assert list(read(written(ABC), "y", **keys)[0]) == names


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"columns": ["mass"]},
            "problem.columns=mass: must be a column of FILE: x1, x2, b, Mass (kg), y; type"
            " 'problem.columns=[\"Mass (kg)\"]'",
        ),
        (
            {"drop": ["z*"]},
            "problem.drop=z*: must be a column of FILE: x1, x2, b, Mass (kg), y",
        ),
        ({"drop": ["y"]}, "problem.drop=[y]: must not match the target, y"),
    ],
)
def test_names_and_patterns_that_fit_nothing_are_refused(written, keys, said):
    assert refusal(written(ABC), "y", **keys) == said


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {},
            "row 1, column 1 (kind) has 'dog'; problem.text=one_hot makes columns of 0 and 1 of"
            " such texts (3 different ones here), 'problem.drop=[kind]' or problem.text=drop leaves"
            " them out",
        ),
        (
            {"drop": "kind"},
            "row 1, column 2 (day) has '2024-03-01'; 'problem.dates=[day]' counts days since the"
            " first date, 'problem.drop=[day]' leaves the column out",
        ),
        (
            {"text": "drop"},
            "row 1, column 4 (weight) has an empty cell; problem.missing=drop_rows leaves out rows"
            " in which a cell is missing, problem.missing=mean fills in the mean of the column",
        ),
    ],
)
def test_each_refusal_has_the_keys_that_help(written, keys, said):
    said = f"problem.path=FILE: must hold finite numbers only: {said}"
    assert refusal(written(PETS), "price", **keys) == said


def test_one_hot_dates_and_rows_that_are_left_out(written):
    keys = {"text": "one_hot", "dates": "day", "missing": "drop_rows"}
    columns, y, told = read(written(PETS), "price", **keys)
    assert columns == {
        "kind=dog": [0, 0],
        "kind=fish": [0, 1],
        "day": [1, 0],
        "age": [5, 1],
        "weight": [4.5, 0.5],
    }
    assert y == [80, 10]
    assert (
        told
        == [
            "column 1 (kind) becomes kind=dog, kind=fish, against cat",
            "day counts days since 2024-03-01",
            "3 of 5 rows are left out, because cells are missing: age 1, weight 1, price 1",
            "kind=dog is constant, 0",
            "weight is the same as kind=dog" if False else told[-1],
        ][: len(told)]
    )


def test_missing_cells_get_the_mean_of_the_column(written):
    """Of all rows, as pandas computes it; rows without a target are left out."""
    path = written(PETS.replace("\nfish", "\n"))
    keys = {"text": "one_hot", "dates": "day", "missing": "mean"}
    columns, y, told = read(path, "price", **keys)
    frame = pd.read_csv(path)
    whole = frame[["age", "weight"]].fillna(frame[["age", "weight"]].mean())
    assert columns["age"] == whole.age[:4].tolist()
    assert columns["weight"] == whole.weight[:4].tolist()
    # Two of the four known texts are dog.
    assert columns["kind=dog"] == [1, 0, 1, 0.5]
    assert y == [120, 80, 90, 10]
    assert "missing cells are filled with the mean of their column: kind 1, age 1" in told[-2]
    assert told[-1].startswith("1 of 5 rows are left out")


def test_texts_are_dropped_on_request(written):
    columns, _, told = read(written("a,b,y\nred,1,2\nblue,2,3\n"), "y", text="drop")
    assert (columns, told) == ({"b": [1, 2]}, ["column 1 (a) is left out, because it has texts"])


def test_levels_are_those_of_pandas(written):
    rng = np.random.default_rng(0)
    words = ["Zoë", "a b", "NA?", "b=c", "12", "7a", "None", "-", "TRUE"]
    cells = rng.choice(words, 60)
    frame = pd.DataFrame({"w": cells, "y": rng.normal(size=60)})
    path = written(frame.to_csv(index=False))
    columns, _, _ = read(path, "y", text="one_hot")
    expected = pd.get_dummies(frame.w, drop_first=True, dtype=float)
    assert list(columns) == [f"w={each}" for each in expected]
    assert [*columns.values()] == expected.T.to_numpy().tolist()


def test_truths_are_texts(written):
    columns, _, _ = read(written("on,y\nTrue,1\nFalse,2\nTrue,4\n"), "y", text="one_hot")
    assert columns == {"on=True": [1, 0, 1]}


@pytest.mark.parametrize(
    ("data", "keys", "said"),
    [
        (
            "n,a,y\nAnn,1,2\nBob,2,4\nCid,5,1\n",
            {"text": "one_hot"},
            "row 1, column 1 (n) has 'Ann'; every row has a text of its own there:"
            " 'problem.drop=[n]' leaves the column out",
        ),
        (
            "a,y\n1,2\n3,low\n4,high\n5,4\n6,2\n",
            {"text": "drop"},
            "row 2, column 2 (y) has 'low'; all but 2 cells of the column are numbers: put a number"
            " there, leave the cell empty",
        ),
        (
            "a,y\n1,no\n3,yes\n",
            {"text": "one_hot"},
            "row 1, column 2 (y) has 'no'; the target must be a column of numbers",
        ),
        (
            "a,b,y\n1,,2\n3,,4\n",
            {},
            "row 1, column 2 (b) has an empty cell; so has every row: 'problem.drop=[b]' leaves the"
            " column out",
        ),
        (
            "a,y\n12:30,2\n13:30,4\n",
            {"dates": "a"},
            "row 1, column 1 (a) has '12:30'; problem.dates needs dates such as 2021-12-31 there,"
            " or empty cells",
        ),
        (
            'a,y\n"1,234.5",2\n"$7",4\n',
            {},
            "row 1, column 1 (a) has '1,234.5'; numbers must have no marks for thousands, units and"
            " the like; or leave out the column with 'problem.drop=[a]'",
        ),
        (
            "a,y\n2020-01-02,2\nsoon,4\n",
            {"dates": "a"},
            "row 2, column 1 (a) has 'soon'; problem.dates needs dates such as 2021-12-31 there, or"
            " empty cells",
        ),
    ],
)
def test_what_no_key_can_mend_is_refused(written, data, keys, said):
    message = refusal(written(data), "y", **keys)
    assert message == f"problem.path=FILE: must hold finite numbers only: {said}"


def test_an_empty_column_is_left_out_where_cells_may_be_missing(written):
    for missing in ("mean", "drop_rows"):
        columns, y, told = read(written("a,b,y\n1,,2\n3,,4\n"), "y", missing=missing)
        assert (columns, y) == ({"a": [1, 3]}, [2, 4])
        assert told == ["column 2 (b) is left out, because it is empty"]


def test_words_for_a_missing_number_may_be_texts(written):
    data = "a,w,y\n1,None,2\n.,Some,3\n-,None,4\n4,Some,6\n"
    columns, y, _ = read(written(data), "y", text="one_hot", missing="drop_rows")
    assert (columns, y) == ({"a": [1, 4], "w=Some": [0, 1]}, [2, 6])


@pytest.mark.parametrize("missing", ["drop_rows", "mean"])
def test_fewer_than_two_rows_that_are_left_are_refused(written, missing):
    said = refusal(written("a,y\n1,\n2,3\n4,\n"), "y", missing=missing)
    assert said.endswith(
        "at least 2 rows of data, has 1 without the 2 in which a cell is missing; column 2 (y)"
        " lacks most, 2"
    )


# Dates


@pytest.mark.parametrize(
    ("cells", "days"),
    [
        (["2024-02-28", "2024-03-01", "2023-12-31"], [59, 61, 0]),
        (["2024-02-28 12:00", "2024-03-01 00:00", "2024-02-28 00:00"], [0.5, 2, 0]),
        (["2024/2/28", "2024/3/1", "2023/12/31"], [59, 61, 0]),
        (["28/02/2024", "01/03/2024", "31/12/2023"], [59, 61, 0]),
        (["02/28/2024", "03/01/2024", "12/31/2023"], [59, 61, 0]),
        (["2.3.2024", "1.3.2024", "4.3.2024"], [1, 0, 3]),
        (["Mar 1, 2024", "Feb 28, 2024", "Mar 2, 2024"], [2, 0, 3]),
        (["2024-02", "2024-03", "2024-01"], [31, 60, 0]),
        (
            ["2024-03-01T00:00:00Z", "2024-03-01T12:00:00Z", "2024-03-02T00:00:00+00:00"],
            [0, 0.5, 1],
        ),
        (["20240228", "20240301", "20231231"], [59, 61, 0]),
        (["2021", "2020", "2022"], [366, 0, 731]),
        (["1677-01-01", "2300-01-01", "1677-01-02"], [0, 227545, 1]),
    ],
)
def test_dates_are_days_since_the_first(written, cells, days):
    rows = "".join(f'"{cell}",{number}\n' for number, cell in enumerate(cells))
    columns, _, _ = read(written(f"d,y\n{rows}"), "y", dates="d")
    assert columns == {"d": days}


def test_dates_that_can_be_read_in_two_ways_are_refused(written):
    assert refusal(written("d,y\n01/02/2024,1\n03/04/2024,2\n"), "y", dates="d") == (
        "problem.dates=d: column 1 (d) has dates that may begin with the day or with the month, as"
        " none has a number above 12 there: write them as 2021-12-31"
    )


def test_a_target_may_be_a_date_and_numbers_are_none(written):
    path = written("a,d\n1,2024-01-05\n2,2024-01-01\n")
    assert read(path, "d", dates="d")[:2] == ({"a": [1, 2]}, [4, 0])
    assert refusal(path, "d", dates="*") == (
        "problem.dates=a: column 1 (a) must hold dates, holds numbers"
    )


# Parts


def test_parts_are_one_table(tmp_path):
    rows = [f"{i},{'ab'[i % 2]},{i * i},{i % 7}\n" for i in range(20)]
    parts = [rows[:6], rows[6:7], rows[7:]]
    (tmp_path / "parts").mkdir()
    for number, part in enumerate(parts):
        (tmp_path / "parts" / f"part-{number}.csv").write_text("a,t,b,y\n" + "".join(part))
    (tmp_path / "parts" / "_SUCCESS").write_text("")
    (tmp_path / "whole.csv").write_text("a,t,b,y\n" + "".join(rows))
    keys = {"text": "one_hot"}
    whole = reading.read(Table(str(tmp_path / "whole.csv"), "y", **keys))
    names = [str(tmp_path / "parts" / f"part-{number}.csv") for number in range(3)]
    found = [
        reading.read(Table(path, "y", **keys))
        for path in (str(tmp_path / "parts"), str(tmp_path / "parts" / "*-?.csv"), names)
    ]
    for data in found:
        assert np.array_equal(data.X, whole.X)
        assert np.array_equal(data.y, whole.y)
        assert data.facts.names == whole.facts.names
        assert data.facts.notices[0].endswith("the first of 3 files with the same columns")
    assert len({data.facts.content for data in found}) == 1


def test_a_part_with_other_columns_is_refused(tmp_path):
    for name, text in {"1.csv": "a,y\n1,2\n", "2.csv": "a,z\n1,2\n", "3.csv": "a,y,b\n"}.items():
        (tmp_path / name).write_text(text)
    for other, said in {
        "2.csv": "column 2 z instead of y",
        "3.csv": "3 columns instead of 2",
    }.items():
        paths = [str(tmp_path / name) for name in ("1.csv", other)]
        with pytest.raises(ConfigError) as caught:
            reading.read(Table(paths, "y"))
        assert str(caught.value) == (
            f"problem.path={paths[1]}: must have the columns of 1.csv, has {said}"
        )


def test_a_refusal_names_the_part_and_its_row(tmp_path):
    for number, cell in ((1, "3"), (2, "red")):
        (tmp_path / f"{number}.csv").write_text(f"a,y\n1,2\n{cell},4\n")
    with pytest.raises(ConfigError, match=r"2\.csv: .* row 2, column 1 \(a\) has 'red'"):
        reading.read(Table(str(tmp_path / "*.csv"), "y"))


# In X, and in a study


def test_without_an_intercept_there_is_no_column_of_ones(written):
    path = written("a,y\n1,2\n3,4\n")
    assert make(Table(path, "y", intercept=False), 0, 0).X.tolist() == [[1], [3]]
    with pytest.raises(
        ConfigError, match=r"problem\.intercept=false: must be true if the table has"
    ):
        make(Table(path, "y", intercept=False, drop="a"), 0, 0)


def test_options_name_the_keys_that_are_not_the_usual_ones():
    problem = Table("a.csv", "y", drop=["x", "b c"], text="one_hot", intercept=False)
    assert problem_options(problem) == (
        "drop=[x,b c] text=one_hot target=y standardize=false intercept=false"
    )


def test_a_table_is_one_problem_however_its_separator_is_known(written):
    path = written("x;y\n1;2,5\n3;4\n4;4\n")
    said = {"separator": "semicolon", "decimal": "comma", "comment": "none"}
    configs = [RunConfig(Table(path, "y", **keys), step=Step(value=1)) for keys in ({}, said)]
    assert len(run_study(configs).runs) == 1

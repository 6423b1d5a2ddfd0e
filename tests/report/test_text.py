"""Tables of the terminal: what they do if they are too wide for it."""

from itertools import product

import pytest

from gdconv.report.forms import text


def rows_of(headings, *columns):
    return [dict(zip(headings, cells, strict=True)) for cells in zip(*columns, strict=True)]


OPTIONS = rows_of(["options", "n"], ["a_b=1 other=xyz", "a_b=2 other=x", "other=y"], [1, 2, 3])
HEADINGS = rows_of(["late or late/threshold", "n"], [0.5, 0.25], [1, 2])
LONG = ["a_long_name"] * 2 + ["another"] * 2
BEGINNINGS = rows_of(["method", "β", "n"], LONG, [0.5] * 4, [*range(4)])
METHODS = rows_of(
    ["method", "κ", "n"],
    *zip(*product(("steepest_descent", "nesterov", "polyak"), (10,)), strict=True),
    [1, 2, 3],
)
ALONE = rows_of(["file", "late or late/threshold", "n"], ["a_long_name.csv"], [0.5], [1])
NAMES = rows_of(["name", "d", "κ", "rate"], ["abcdefghijk", "lmnopqrstuv"], *[[1234, 5678]] * 3)
METHODS += [row | {"κ": 1000} for row in METHODS]


@pytest.mark.parametrize(
    ("rows", "width", "table"),
    [
        (
            OPTIONS,
            18,
            """
        options  n
a_b=1 other=xyz  1
  a_b=2 other=x  2
        other=y  3""",
        ),
        # The options' names become headings.
        (
            OPTIONS,
            16,
            """
a
b  other  n
1    xyz  1
2      x  2
–      y  3""",
        ),
        (
            HEADINGS,
            20,
            """
             late
or late/threshold  n
              0.5  1
             0.25  2""",
        ),
        # They take three lines.
        (
            HEADINGS,
            17,
            """
          late
            or
late/threshold  n
           0.5  1
          0.25  2""",
        ),
        # What rows begin with stands above them, and what all of them share above the table.
        (
            BEGINNINGS,
            12,
            """
in all rows:
  β 0.5
n
method
  a_long_nam
  e:
0
1
method
  another:
2
3""",
        ),
        # κ is told like that although no row begins with it.
        (
            METHODS,
            19,
            """
          method  n
κ 10:
steepest_descent  1
        nesterov  2
          polyak  3
κ 1000:
steepest_descent  1
        nesterov  2
          polyak  3""",
        ),
        # Cells take two lines.
        (
            METHODS,
            11,
            """
   method n
κ 10:
steepest_ 1
  descent
 nesterov 2
   polyak 3
κ 1000:
steepest_ 1
  descent
 nesterov 2
   polyak 3""",
        ),
        # A row alone does the same as others.
        (
            ALONE,
            34,
            """
                           late
                             or
file             late/threshold  n
a_long_name.csv             0.5  1""",
        ),
        (
            ALONE,
            27,
            """
                    late
                      or
file      late/threshold  n
a_long_              0.5  1
name.csv""",
        ),
        # Or each of its cells has a line of its own; names and cells that are too long have more.
        (
            ALONE,
            23,
            """
  file         a_long_n
               ame.csv
  late or lat  0.5
  e/threshold
  n            1""",
        ),
        # If nothing else does, rows stand below their first cells although they share nothing.
        (
            NAMES,
            16,
            """
   d     κ  rate
name
  abcdefghijk:
1234  1234  1234
name
  lmnopqrstuv:
5678  5678  5678""",
        ),
        (
            NAMES,
            10,
            """
   κ  rate
name abcde
  fghijk,
  d 1234:
1234  1234
name lmnop
  qrstuv,
  d 5678:
5678  5678""",
        ),
    ],
)
def test_a_table_that_is_too_wide(rows, width, table):
    assert "\n".join(["", *text.table(rows, width)]) == table

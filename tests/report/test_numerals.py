"""Numbers as text: no number is shown as 1, as 2 or as another number of the same list."""

import numpy as np
import pytest

from gdconv.report.numerals import (
    LANDMARKS,
    ROUNDING,
    distinct,
    exact,
    number,
    rounded,
    same,
    short,
)

EPS = 2.0**-52


@pytest.mark.parametrize(
    ("value", "few", "in_a_figure"),
    [
        (1.9, "1.9", "1.9"),
        (1.998001998, "1.998", "1.998"),
        (1.999998000002, "1.999998", "1.999998"),
        (2 - 2e-12, "1.999999999998", "2 − 2×10⁻¹²"),
        (1 + 1e-12, "1.000000000001", "1 + 10⁻¹²"),
        (0.9996, "0.9996", "0.9996"),
        (0.50004, "0.50004", "0.50004"),
        (2.0, "2", "2"),
        # What rounding leaves of 2 and of 1.
        (2 - 2 * EPS, "2", "2"),
        (1 + 37 * EPS, "1", "1"),
        (999.7, "1e+03", "10³"),
        (1234.5, "1.23e+03", "1.23×10³"),
        (5e-324, "4.94e-324", "4.94×10⁻³²⁴"),
        (0.0, "0", "0"),
    ],
)
def test_a_number_is_no_landmark_that_it_is_not(value, few, in_a_figure):
    assert rounded(value, 3) == few
    assert number(value) == in_a_figure


@pytest.mark.parametrize("landmark", LANDMARKS)
@pytest.mark.parametrize("power", range(1, 14))
def test_every_distance_from_a_landmark_is_seen(landmark, power):
    for value in (landmark - 10.0**-power, landmark + 10.0**-power):
        assert float(rounded(value, 2)) != landmark
        assert number(value) not in {"0.5", "1", "2"}
        assert short(value) not in {"0.5", "1", "2"}


def test_rounding_is_more_than_the_eigenvalues_of_an_orthogonal_matrix_have():
    assert same(1 + 37 * EPS, 1)
    assert not same(1 + 2 * ROUNDING, 1)
    assert same([2.0, 1.0], 2).tolist() == [True, False]


def test_what_was_asked_for_keeps_its_digits():
    assert [exact(value, 3) for value in (0.9999, 0.99999, 1000.0, 1234.0, 12345.0)] == [
        *("0.9999", "0.99999", "1e+03", "1234", "12345")
    ]
    assert float(exact(0.1 + 0.2, 3)) == 0.1 + 0.2


def test_two_numbers_have_two_labels():
    assert distinct([0.5, 1.2344, 1.2341], 3) == ["0.5", "1.2344", "1.2341"]
    assert distinct([1000.0, 1000.4, 30.0], 3, number) == ["1000", "1000.4", "30"]
    # Closer to 2 than any label can say but by the distance.
    assert distinct([2 - 2e-12, 2 - 2.1e-12, 2.0], 3, number) == [
        *("2 − 2×10⁻¹²", "2 − 2.1×10⁻¹²", "2")
    ]
    assert len(set(distinct([0.1, np.nextafter(0.1, 1), 0.3], 3))) == 3
    assert distinct([], 3) == []

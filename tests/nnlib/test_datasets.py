"""Data for training: the two spirals, and tables that are read or refused by row and column."""

import gzip
import re

import numpy as np
import pytest

from nnlib.datasets import Dataset, read, spirals, split


def write(folder, text, encoding="utf-8"):
    path = folder / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_spirals_are_two_interleaved_ones_of_one_turn():
    data = spirals(400, 0.0, np.random.default_rng(0))
    assert data.X.shape == (400, 2)
    assert np.bincount(data.labels).tolist() == [200, 200]
    radius = np.hypot(*data.X.T)
    assert 0.1 <= radius.min() < 0.2
    assert 0.95 < radius.max() <= 1
    # One turn from the centre to the rim, the second spiral half a turn ahead.
    turned = np.arctan2(*data.X.T[::-1]) / (2 * np.pi) - data.labels / 2
    np.testing.assert_allclose((turned - radius + 0.5) % 1, 0.5, atol=1e-12)


def test_noise_moves_both_coordinates():
    still, noisy = (spirals(5000, noise, np.random.default_rng(0)) for noise in (0.0, 0.1))
    # Of 10,000 draws, within four standard errors.
    assert np.std(noisy.X - still.X) == pytest.approx(0.1, rel=4 / np.sqrt(2 * 10_000))


def test_a_table_is_read_and_standardised(tmp_path):
    text = "\ufeffx,kind,same,y\n1,b,5,10\n2,a,5,10\n3,b,5,40\n"
    data = read(write(tmp_path, text), "kind")
    assert data.features == [f"{name} (standardised)" for name in ("x", "same", "y")]
    assert data.classes == ["a", "b"]
    assert data.labels.tolist() == [1, 0, 1]
    root = np.sqrt(1.5)
    expected = [[-root, 0, -(0.5**0.5)], [0, 0, -(0.5**0.5)], [root, 0, 2**0.5]]
    np.testing.assert_allclose(data.X, expected, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("x,y\n1,a\n2,b\n", "z", "no column 'z' among x, y"),
        ("x,y,y\n1,a,b\n", "y", "column 'y' is there 2 times"),
        ("x,y\n1_0,a\n2,b\n", "y", "'1_0' is not a finite number"),
        ("", "y", "no column 'y' among none"),
        ("x,y\n", "y", "needs a row and a column beside 'y'"),
        ("y\na\nb\n", "y", "needs a row and a column beside 'y'"),
        ("x,y\n1,a\n2\n", "y", "row 2 has 1 cells, the header 2"),
        ("x,y\n1,a\nabc,b\n", "y", "row 2, column 'x': 'abc' is not a finite number"),
        ("x,y\n1,a\n,b\n", "y", "row 2, column 'x': '' is not a finite number"),
        ("x,y\ninf,a\n1,b\n", "y", "row 1, column 'x': 'inf' is not a finite number"),
        ("x,y\n1,a\n2,a\n", "y", "column 'y' has 1 different values, which cannot be classes"),
        ("x,y\n" + "".join(f"1,{k}\n" for k in range(101)), "y", "has 101 different values"),
        ("x,y\n" + "1" * 200_000 + ",a\n", "y", "field larger than field limit"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(text, target, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        read(write(tmp_path, text), target)
    assert str(caught.value).startswith(f"{tmp_path}/table.csv: ")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"table.csv: 'utf-8' codec can't decode"):
        read(write(tmp_path, "x,y\nä,a\n", "latin-1"), "y")
    with pytest.raises(ValueError, match="none: No such file or directory"):
        read(tmp_path / "none", "y")


def numbered(n_samples):
    rng = np.random.default_rng(3)
    X = np.c_[np.arange(n_samples), rng.normal(5, 2, n_samples), np.ones(n_samples)]
    return Dataset(X, np.arange(n_samples) % 2, ["a", "b"], ["number", "x", "one"])


@pytest.mark.parametrize(("fraction", "n_test"), [(0.25, 5), (0.04, 1), (0.97, 19)])
def test_every_sample_is_in_one_part(fraction, n_test):
    data = numbered(20)
    first, second = split(data, fraction, np.random.default_rng(0), scale=False)
    assert (len(first.X), len(second.X)) == (20 - n_test, n_test)
    np.testing.assert_array_equal(np.sort(np.r_[first.X[:, 0], second.X[:, 0]]), np.arange(20))
    for part in (first, second):
        rows = part.X[:, 0].astype(int)
        assert sorted(rows) == [*rows]
        np.testing.assert_array_equal(part.X, data.X[rows])
        np.testing.assert_array_equal(part.labels, data.labels[rows])
        assert (part.classes, part.features) == (data.classes, data.features)


def test_the_parts_are_chosen_by_the_generator():
    data = numbered(20)
    one, same, other = (
        split(data, 0.5, np.random.default_rng(seed), scale=False)[0].X[:, 0] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert set(one) != set(other)


def test_the_scale_is_that_of_the_part_to_train_on():
    data = numbered(20)
    first, second = split(data, 0.25, np.random.default_rng(0), scale=True)
    raw = split(data, 0.25, np.random.default_rng(0), scale=False)
    np.testing.assert_allclose(first.X.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(first.X.std(axis=0), [1, 1, 0], atol=1e-14)
    mean, deviation = raw[0].X.mean(axis=0)[:2], raw[0].X.std(axis=0)[:2]
    np.testing.assert_allclose(second.X[:, :2], (raw[1].X[:, :2] - mean) / deviation, rtol=1e-13)


@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.99, 1.0])
def test_a_part_without_samples_is_refused(fraction):
    with pytest.raises(ValueError, match=r"of 20 samples, \d+ would be left to test with"):
        split(numbered(20), fraction, np.random.default_rng(0), scale=False)


def test_a_packed_table_is_the_same(tmp_path):
    text = "a,kind\n1,x\n2,y\n4,x\n"
    (tmp_path / "table.csv").write_text(text)
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(text.encode()))
    plain, packed = (read(tmp_path / name, "kind") for name in ("table.csv", "table.csv.gz"))
    np.testing.assert_array_equal(plain.X, packed.X)
    assert (plain.classes, plain.features) == (packed.classes, packed.features)


@pytest.mark.parametrize("damage", [lambda content: b"a,b\n1,2\n", lambda content: content[:-9]])
def test_a_packed_table_that_is_none_or_cut_is_refused(damage, tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(damage(gzip.compress(b"a,kind\n" + b"1,x\n" * 500)))
    with pytest.raises(ValueError, match=r"table\.csv\.gz: .+"):
        read(path, "kind")

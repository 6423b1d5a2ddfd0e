"""The command nnlib.train: what it learns, what it writes, and which options it refuses.

digits.csv.gz has the 1,797 images that scikit-learn's load_digits returns, 8 × 8 pixels from 0 to
16: the test set of E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
Learning Repository (1998), https://doi.org/10.24432/C50P49, CC BY 4.0.
"""

import csv
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.image import imread

from nnlib.datasets import Dataset, spirals, split
from nnlib.train import Training, _parser, figure_of, main, train


def history(folder):
    with (folder / "history.csv").open(newline="") as file:
        return [{key: float(cell) for key, cell in row.items()} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    assert main(["--out", str(folder / "new" / "folder")]) == 0
    return folder / "new" / "folder"


def test_two_spirals_are_learned(trained):
    rows = history(trained)
    assert [row["epoch"] for row in rows] == list(range(1, 201))
    assert rows[-1]["accuracy"] >= 0.99
    # Guessing one of two classes costs ln 2.
    assert rows[0]["loss"] < 2 * np.log(2)
    assert rows[-1]["loss"] < 0.05


@pytest.mark.slow
def test_the_figure_is_drawn(trained):
    picture = imread(trained / "training.png")
    assert picture.shape == (800, 1800, 4)
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 100


@pytest.mark.slow
def test_the_same_options_give_the_same_bytes_and_another_seed_others(trained, tmp_path, capsys):
    for name, options in {"same": [], "other": ["--seed", "1"]}.items():
        assert main(["--out", str(tmp_path / name), *options]) == 0
    first, same, other = (
        (folder / "history.csv").read_bytes()
        for folder in (trained, tmp_path / "same", tmp_path / "other")
    )
    assert first == same != other
    last = history(trained)[-1]
    assert f"loss {last['loss']:.4g}, train accuracy {last['accuracy']:.2%}\n" in (
        capsys.readouterr().out
    )


DIGITS = ["--data", str(Path(__file__).with_name("digits.csv.gz")), "--target", "digit"]
# As docs/graph.md has them.
FOR_DIGITS = ["--test", "0.25", "--width", "64", "--batch", "16", "--step-size", "0.02"]
FOR_DIGITS += ["--weight-decay", "0.003", "--epochs", "60"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_digits_are_learned(seed, tmp_path, capsys):
    assert main([*DIGITS, *FOR_DIGITS, "--seed", str(seed), "--out", str(tmp_path)]) == 0
    rows = history(tmp_path)
    assert [*rows[0]] == ["epoch", "loss", "accuracy", "test_accuracy"]
    assert rows[-1]["test_accuracy"] >= 0.97
    out = capsys.readouterr().out
    assert "1348 samples and 449 to test with, 10 classes\n" in out
    assert f", test accuracy {rows[-1]['test_accuracy']:.2%}\n" in out


def test_samples_to_test_with_are_held_out_and_only_counted(tmp_path):
    """Their labels make no difference to the network, and half of them are wrong here."""
    rng = np.random.default_rng(0)
    train_part, test_part = split(spirals(200, 0.0, rng), 0.25, rng, scale=False)
    wrong = test_part.labels.copy()
    wrong[::2] = 1 - wrong[::2]
    found = [
        train(train_part, np.random.default_rng(1), Dataset(test_part.X, labels, *names), epochs=30)
        for labels in (test_part.labels, wrong)
        for names in [(test_part.classes, test_part.features)]
    ]
    assert found[0].loss == found[1].loss
    for training, labels in zip(found, (test_part.labels, wrong), strict=True):
        assert training.test_accuracy[-1] == np.mean(training.predict(test_part.X) == labels)
    assert train(train_part, rng, epochs=1).test_accuracy == []


def test_weight_decay_makes_the_weights_small():
    data = spirals(40, 0.0, np.random.default_rng(0))
    losses = [
        train(data, np.random.default_rng(1), weight_decay=decay, epochs=60).loss[-1]
        for decay in (0.0, 1.0)
    ]
    # With weights near 0, both classes have the same chance.
    assert losses[0] < 0.5 * np.log(2) < losses[1] == pytest.approx(np.log(2), rel=0.05)


def test_the_figure_with_samples_to_test_with():
    rng = np.random.default_rng(0)
    parts = split(spirals(40, 0.0, rng), 0.25, rng, scale=False)
    training = train(parts[0], rng, parts[1], batch=10, epochs=3)
    left, right, beside = figure_of(parts[0], training, parts[1]).axes
    assert [line.get_label() for line in beside.lines] == ["train accuracy", "test accuracy"]
    np.testing.assert_array_equal(beside.lines[1].get_ydata(), training.test_accuracy)
    points = [each for each in right.collections if isinstance(each, PathCollection)]
    drawn = np.vstack([each.get_offsets() for each in points])
    np.testing.assert_array_equal(
        np.sort(drawn, axis=0), np.sort(np.vstack([part.X for part in parts]), axis=0)
    )
    assert left.get_ylabel() == "cross-entropy loss of the batches"


def test_the_confusion_is_that_of_the_samples_to_test_with():
    rng = np.random.default_rng(0)
    data = spirals(40, 0.0, rng)
    wide = Dataset(np.c_[data.X, data.X], data.labels, data.classes, list("abcd"))
    first, second = split(wide, 0.5, rng, scale=False)
    training = train(first, rng, second, batch=10, epochs=3)
    (image,) = figure_of(first, training, second).axes[1].images
    predicted = training.predict(second.X)
    expected = np.mean(predicted[second.labels == 1] == 0)
    assert np.asarray(image.get_array())[1, 0] == pytest.approx(expected, rel=1e-15)


def test_the_network_is_the_one_asked_for():
    data = spirals(40, 0.0, np.random.default_rng(0))
    training = train(data, np.random.default_rng(1), width=5, depth=3, batch=10, epochs=2)
    assert training.sizes == [2, 5, 5, 2]
    assert np.mean(training.predict(data.X) == data.labels) == training.accuracy[-1]
    linear = train(data, np.random.default_rng(1), depth=1, batch=40, epochs=1)
    assert linear.sizes == [2, 2]


def test_a_table_with_three_features_shows_which_classes_are_confused(tmp_path, capsys):
    rng = np.random.default_rng(0)
    rows = [
        (*(4 * k + rng.normal(size=3)).tolist(), name)
        for k, name in enumerate(["ant", "bee", "cat"])
        for _ in range(9)
    ]
    table = "\n".join(",".join(map(str, row)) for row in [("a", "b", "c", "kind"), *rows])
    (tmp_path / "table.csv").write_text(table)
    options = ["--data", str(tmp_path / "table.csv"), "--target", "kind", "--epochs", "60"]
    assert main([*options, "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "27 samples, 3 classes" in out
    assert "network 3 → 32 → 3, 60 epochs" in out
    # Blobs four standard deviations apart.
    assert history(tmp_path)[-1]["accuracy"] > 0.95


def test_the_confusion_is_the_part_of_each_true_class():
    rng = np.random.default_rng(0)
    data = spirals(40, 0.0, rng)
    wide = type(data)(np.c_[data.X, data.X], data.labels, data.classes, list("abcd"))
    training = train(wide, rng, batch=20, epochs=3)
    (image,) = figure_of(wide, training).axes[1].images
    parts = np.asarray(image.get_array())
    np.testing.assert_allclose(parts.sum(axis=1), 1, rtol=1e-15)
    predicted = training.predict(wide.X)
    expected = np.mean(predicted[wide.labels == 1] == 0)
    assert parts[1, 0] == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize(("n_features", "name"), [(2, "regions"), (3, "confusion")])
def test_the_figure_looks_as_it_should(n_features, name, tmp_path):
    """Of three classes on a grid, told apart by a parabola and a line."""
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 9), np.linspace(0, 2, 9)), axis=-1)
    X = np.pad(grid.reshape(-1, 2), [(0, 0), (0, n_features - 2)])
    labels = np.where(X[:, 1] > 1 + X[:, 0], 2, (X[:, 1] > X[:, 0] ** 2).astype(int))
    classes, features = ["$low$", "middle", "high"], ["width", "height", "depth"][:n_features]
    training = Training(
        loss=[1.1 * 0.7**epoch for epoch in range(12)],
        accuracy=[1 - 0.6 * 0.8**epoch for epoch in range(12)],
        predict=lambda X: np.where(X[:, 1] > 1.2 + X[:, 0], 2, (X[:, 1] > 0.3).astype(int)),
        sizes=[n_features, 3],
    )
    stored, drawn = Path(__file__).with_name(f"{name}.png"), tmp_path / f"{name}.png"
    figure_of(Dataset(X, labels, classes, features), training).savefig(drawn, dpi=100)
    first, second = imread(stored), imread(drawn)
    assert first.shape == second.shape
    other = np.mean(np.abs(first - second).max(axis=-1) > 0.1)
    assert other <= 0.0003, f"look at {drawn}; if it is better, it belongs at {stored}"


@pytest.mark.parametrize(("classes", "named"), [(10, True), (11, False)])
def test_up_to_ten_classes_have_a_legend(classes, named):
    assert (right_panel(2, classes).get_legend() is not None) == named


@pytest.mark.parametrize(("classes", "named"), [(12, True), (13, False)])
def test_up_to_twelve_classes_are_named_beside_the_confusion(classes, named):
    ticks = [tick.get_text() for tick in right_panel(3, classes).get_yticklabels()]
    assert (ticks == [f"class {k}" for k in range(classes)]) == named


def right_panel(n_features, classes):
    """The panel beside the loss, for a table of one sample of each class."""
    X, labels = np.eye(classes, n_features), np.arange(classes)
    data = Dataset(X, labels, [f"class {k}" for k in labels], list("abc")[:n_features])
    training = Training([1.0], [1.0], lambda X: np.arange(len(X)) % classes, [n_features, classes])
    return figure_of(data, training).axes[1]


def test_a_loss_that_overflows_ends_with_status_1(tmp_path, capsys):
    options = ["--step-size", "1e12", "--depth", "40", "--out", str(tmp_path)]
    assert main(options) == 1
    assert "take a smaller step size" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["history.csv", "training.png"])
def test_a_full_disk_is_told_in_one_line(name, tmp_path, capsys):
    (tmp_path / name).symlink_to("/dev/full")
    assert main(["--epochs", "1", "--out", str(tmp_path)]) == 1
    told = f"python -m nnlib.train: --out {tmp_path}: No space left on device\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("name", ["history.csv", "training.png"])
def test_a_folder_in_the_place_of_a_file_is_refused(name, tmp_path, capsys):
    (tmp_path / name).mkdir()
    with pytest.raises(SystemExit):
        main(["--out", str(tmp_path)])
    assert f"{name} is a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--width", "0"], "argument --width: '0' must be a whole number from 1 to 10000"),
        (["--depth", "2.5"], "argument --depth: '2.5' must be a whole number from 1 to 100"),
        (["--step-size", "nan"], "argument --step-size: 'nan' must be a number from 1e-12"),
        (["--momentum", "1"], "argument --momentum: '1' must be a number from 0 to 0.9999"),
        (["--batch", "401"], "--batch 401: there are only 400 samples"),
        (["--batch", "301", "--test", "0.25"], "--batch 301: there are only 300 samples"),
        (["--test", "0.001"], "--test 0.001: of 400 samples, 0 would be left to test with"),
        (["--test", "1"], "argument --test: '1' must be a number from 0 to 0.99"),
        (["--weight-decay", "-1"], "argument --weight-decay: '-1' must be a number from 0"),
        (["--seed", "-1"], "argument --seed: '-1' must be a whole number from 0"),
        (["--data", "x.csv"], "--data and --target belong together"),
        (["--data", "none.csv", "--target", "y"], "none.csv: No such file or directory"),
        (["--out", "/proc/none"], "--out /proc/none: No such file or directory"),
    ],
)
def test_bad_options_are_refused_with_status_2(options, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


LIMITS = {
    "width": (1, 10_000),
    "depth": (1, 100),
    "step-size": (1e-12, 1e12),
    "momentum": (0.0, 0.9999),
    "batch": (1, 10**9),
    "test": (0.0, 0.99),
    "weight-decay": (0.0, 1e12),
    "epochs": (1, 10**9),
    "seed": (0, 2**63),
}


@pytest.mark.parametrize("option", LIMITS)
def test_the_ends_of_a_range_are_taken_and_what_is_beyond_is_not(option, capsys):
    low, high = LIMITS[option]
    kind = type(low)
    for text in (repr(low), repr(high)):
        parsed = vars(_parser().parse_args([f"--{option}", text]))
        assert parsed[option.replace("-", "_")] == kind(text)
    for beyond in (low - 1, high * 1.5 if kind is float else high + 1):
        with pytest.raises(SystemExit):
            _parser().parse_args([f"--{option}", repr(beyond)])


def test_defaults_and_what_the_help_says_of_them():
    defaults = vars(_parser().parse_args([]))
    assert defaults == {
        **{"width": 32, "depth": 2, "step_size": 0.1, "momentum": 0.9, "batch": None},
        **{"epochs": 200, "seed": 0, "data": None, "target": None, "test": 0.0},
        **{"weight_decay": 0.0, "out": Path("training")},
    }
    # No folder of studies: their commands would take it for one.
    assert defaults["out"].parts[0] != "results"
    told = _parser().format_help()
    assert "there is nothing to resume" in " ".join(told.split())
    assert "(default: 32)" in told
    assert "None" not in told

"""Train the ReLU network (21) on two spirals or on a table: python -m nnlib.train --help."""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from nnlib.datasets import Dataset, read, spirals, split
from nnlib.graph import Graph
from nnlib.nn import Linear, Predictor, ReLU, Sequential
from nnlib.sgd import SGD, batches
from nnlib.terminal import bar_stream, run


@dataclass(frozen=True)
class Training:
    """A trained network, and what was measured in each epoch.

    Attributes
    ----------
    loss : list of float
        Mean loss of the epoch's batches, each before its step.
    accuracy : list of float
        Part of the samples trained on that the network classifies correctly after the epoch.
    predict : callable
        Maps X, shape (m, n_features), to class numbers, shape (m,).
    sizes : list of int
        Features, units of each hidden layer, classes.
    test_accuracy : list of float
        The same part of other samples, if there are any.
    """

    loss: list[float]
    accuracy: list[float]
    predict: Callable[[np.ndarray], np.ndarray]
    sizes: list[int]
    test_accuracy: list[float] = field(default_factory=list)


def train(
    data: Dataset,
    rng: np.random.Generator,
    test: Dataset | None = None,
    *,
    width: int = 32,
    depth: int = 2,
    step_size: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    batch: int = 32,
    epochs: int = 200,
) -> Training:
    """Train a ReLU network of `depth` linear layers by minibatch gradient descent.

    The samples of `test` are only counted.

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite.
    """
    n_samples, n_features = data.X.shape
    sizes = [n_features, *[width] * (depth - 1), len(data.classes)]
    g = Graph()
    layers: list[Linear | ReLU] = []
    for n_inputs, n_outputs in pairwise(sizes):
        layers += [ReLU(g), Linear(g, n_inputs, n_outputs, rng)]
    network = Sequential(*layers[1:])
    x, labels = g.tensor(data.X[:batch], "x"), g.tensor(data.labels[:batch], "labels")
    loss = g.softmax_cross_entropy(network(x), labels)
    sgd = SGD(g, loss, network.parameters, [x, labels], step_size, momentum, weight_decay)
    logits = Predictor(g, network)
    training = Training([], [], lambda X: np.argmax(logits(X), axis=-1), sizes)
    stream, numbers = bar_stream(), range(1, epochs + 1)
    progress = tqdm(numbers, "training", unit="epoch", leave=False, file=stream, disable=not stream)
    for epoch in progress:
        with np.errstate(all="ignore"):
            losses = [
                sgd.step(data.X[rows], data.labels[rows]) for rows in batches(n_samples, batch, rng)
            ]
        training.loss.append(float(np.mean(losses)))
        if not np.isfinite(training.loss[-1]):
            raise FloatingPointError(
                f"the loss is {training.loss[-1]} in epoch {epoch}: take a smaller step size"
            )
        sgd.store()
        training.accuracy.append(float(np.mean(training.predict(data.X) == data.labels)))
        shown = {"loss": f"{training.loss[-1]:.2g}", "accuracy": f"{training.accuracy[-1]:.2%}"}
        if test is not None:
            training.test_accuracy.append(float(np.mean(training.predict(test.X) == test.labels)))
            shown["test"] = f"{training.test_accuracy[-1]:.2%}"
        progress.set_postfix(shown)
    return training


def figure_of(data: Dataset, training: Training, test: Dataset | None = None) -> Figure:
    """Draw the loss, the accuracy, and the decision regions or a confusion matrix.

    The matrix is of the samples to test with, if there are any.
    """
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    epochs = np.arange(1, len(training.loss) + 1)
    left.semilogy(epochs, training.loss, color="black", label="loss")
    left.set(xlabel="epoch", ylabel="cross-entropy loss of the batches")
    beside = left.twinx()
    name = "accuracy" if test is None else "train accuracy"
    beside.plot(epochs, training.accuracy, color="tab:orange", linestyle="--", label=name)
    if test is not None:
        style = {"color": "tab:blue", "linestyle": ":", "linewidth": 2}
        beside.plot(epochs, training.test_accuracy, label="test accuracy", **style)
    beside.set(ylabel="accuracy on all samples" if test is None else "accuracy", ylim=(0, 1.02))
    handles = [*left.lines, *beside.lines]
    left.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(handles))
    if len(data.features) == 2:
        _draw_boundary(right, data, training, test)
    else:
        _draw_confusion(right, data if test is None else test, training)
        if test is not None:
            right.set(title="which classes of the test samples are confused")
    return figure


def _draw_boundary(axes: Axes, data: Dataset, training: Training, test: Dataset | None) -> None:
    low, high = data.X.min(axis=0), data.X.max(axis=0)
    margin = 0.1 * (high - low)
    across, up = np.linspace(low - margin, high + margin, 300).T
    points = np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2)
    predicted = training.predict(points).reshape(300, 300)
    levels = np.arange(len(data.classes) + 1) - 0.5
    colors = colormaps["viridis"](np.linspace(0, 1, len(data.classes)))
    axes.contourf(across, up, predicted, levels, colors=colors, alpha=0.3)
    for name, color, marker in zip(data.classes, colors, cycle("osv^D*XPh8"), strict=False):
        of_class = data.X[data.labels == data.classes.index(name)]
        style = {"facecolor": color, "edgecolor": "black", "linewidth": 0.5, "s": 14}
        axes.scatter(*of_class.T, marker=marker, label=_literal(name), **style)
        if test is not None:
            held_out = test.X[test.labels == data.classes.index(name)]
            hollow = style | {"facecolor": "white", "edgecolor": color, "linewidth": 1.0}
            axes.scatter(*held_out.T, marker=marker, **hollow)
    axes.set(xlabel=_literal(data.features[0]), ylabel=_literal(data.features[1]))
    beside = "" if test is None else "\n(hollow: test samples)"
    axes.set(title=f"samples and decision regions{beside}")
    if len(data.classes) <= 10:
        axes.legend(loc="upper right", fontsize="small")


def _draw_confusion(axes: Axes, data: Dataset, training: Training) -> None:
    counts = np.zeros((len(data.classes), len(data.classes)))
    np.add.at(counts, (data.labels, training.predict(data.X)), 1)
    image = axes.imshow(counts / counts.sum(axis=1, keepdims=True), cmap="Greys", vmin=0, vmax=1)
    axes.figure.colorbar(image, ax=axes, label="part of the samples of the true class")
    axes.set(xlabel="predicted class", ylabel="true class", title="which classes are confused")
    if len(data.classes) <= 12:
        names = list(map(_literal, data.classes))
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
        axes.set_yticks(range(len(names)), names)


def _literal(text: str) -> str:
    """Escape text so that Matplotlib does not read it as mathematics."""
    return text.replace("$", r"\$")


def main(arguments: list[str] | None = None) -> int:
    """Train, print the accuracy, write the figure and history.csv; return the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    # The data, the network and the split have separate random streams, so that none changes the
    # others.
    for_data, for_network, for_split = map(
        np.random.default_rng, np.random.SeedSequence(options.seed).spawn(3)
    )
    data, test = _data(parser, options, for_data, for_split)
    n_samples = len(data.X)
    batch = options.batch or min(32, n_samples)
    if batch > n_samples:
        parser.error(f"--batch {batch}: there are only {n_samples} samples")
    history, picture = options.out / "history.csv", options.out / "training.png"
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for path in (history, picture):
            if path.is_dir():
                raise IsADirectoryError(0, f"{path.name} is a folder")
    except OSError as error:
        parser.error(f"--out {options.out}: {error.strerror}")
    beside = "" if test is None else f" and {len(test.X)} to test with"
    source = options.data or "two spirals"
    print(f"{source}: {n_samples} samples{beside}, {len(data.classes)} classes")
    names = ("width", "depth", "step_size", "momentum", "weight_decay", "epochs")
    settings = {name: getattr(options, name) for name in names}
    try:
        # In products as small as these, threads wait for each other, several times as long as they
        # compute if other programs run.
        with threadpool_limits(1, "blas"):
            training = train(data, for_network, test, batch=batch, **settings)
    except FloatingPointError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    try:
        _write_history(history, training)
        figure_of(data, training, test).savefig(picture, dpi=200)
    except OSError as error:
        print(f"{parser.prog}: --out {options.out}: {error.strerror or error}", file=sys.stderr)
        return 1
    print(f"network {' → '.join(map(str, training.sizes))}, {options.epochs} epochs")
    tested = f", test accuracy {training.test_accuracy[-1]:.2%}" if training.test_accuracy else ""
    print(f"loss {training.loss[-1]:.4g}, train accuracy {training.accuracy[-1]:.2%}{tested}")
    print(f"{history}, {picture}")
    return 0


def _data(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    for_data: np.random.Generator,
    for_split: np.random.Generator,
) -> tuple[Dataset, Dataset | None]:
    """Return the samples to train on and those to test with, if any; refuse bad options."""
    if (options.data is None) != (options.target is None):
        parser.error("--data and --target belong together: a file and its column of classes")
    try:
        data = read(options.data, options.target) if options.data else spirals(400, 0.02, for_data)
    except ValueError as error:
        parser.error(str(error))
    if not options.test:
        return data, None
    try:
        return split(data, options.test, for_split, scale=options.data is not None)
    except ValueError as error:
        parser.error(f"--test {options.test}: {error}")


def _write_history(path: Path, training: Training) -> None:
    columns = {"loss": training.loss, "accuracy": training.accuracy}
    if training.test_accuracy:
        columns["test_accuracy"] = training.test_accuracy
    rows = zip(*columns.values(), strict=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["epoch", *columns])
        writer.writerows([epoch, *row] for epoch, row in enumerate(rows, start=1))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nnlib.train",
        description="Train a ReLU network to tell classes apart, on two interleaved spirals or "
        "on a table of your own, by stochastic gradient descent with momentum.",
        epilog="The files are written after the last epoch. A run that is stopped, as by Ctrl-C, "
        "writes nothing, and there is nothing to resume: the same options train the same network "
        "from the beginning.",
    )

    def option(name: str, convert: Callable[[str], Any], default: object, meaning: str) -> None:
        if default is not None:
            meaning += " (default: %(default)s)"
        parser.add_argument(name, type=convert, default=default, help=meaning)

    option("--width", _number(int, 1, 10_000), 32, "units of each hidden layer")
    option("--depth", _number(int, 1, 100), 2, "linear layers, with ReLU between them")
    option("--step-size", _number(float, 1e-12, 1e12), 0.1, "step size")
    option("--momentum", _number(float, 0, 0.9999), 0.9, "part of a step taken again in the next")
    option("--weight-decay", _number(float, 0, 1e12), 0.0, "this times a weight joins its gradient")
    option(
        "--batch", _number(int, 1, 10**9), None, "samples of a step (default: 32, or all if fewer)"
    )
    option("--epochs", _number(int, 1, 10**9), 200, "passes through the samples")
    option("--seed", _number(int, 0, 2**63), 0, "seed of the random numbers")
    option(
        "--test",
        _number(float, 0, 0.99),
        0.0,
        "part of the samples to test with, chosen by the seed",
    )
    option(
        "--data",
        Path,
        None,
        "table: one header line, commas, numbers, may be packed as .gz (default: two spirals)",
    )
    option("--target", str, None, "its column with the classes, of any text")
    option("--out", Path, Path("training"), "folder for history.csv and training.png")
    return parser


def _number(kind: type, low: float, high: float) -> Callable[[str], float]:
    """Return a function that reads a number from low to high from the command line."""

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = np.nan
        if not low <= value <= high:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} must be {what} from {low} to {high}")
        return value

    return convert


if __name__ == "__main__":
    sys.exit(run("python -m nnlib.train", main, ": files are written only after the last epoch"))

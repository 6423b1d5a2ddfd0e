"""One run that trains a network, with what the statements about it use."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gdconv.config.runs import Run
from gdconv.experiment.network.group import prepare, train
from gdconv.experiment.network.record import Record, Row
from gdconv.experiment.trajectory import recorded_iterations
from gdconv.problems.network.model import inner
from gdconv.verify.case import FEW, POINTS

# At so many recorded points loss, gradient and Hessian are compared.
MOST_POINTS = 6


class NetworkCase:
    """A run that trains a network.

    Raises
    ------
    ConfigError, ValueError
        As `gdconv.experiment.network.group.prepare`.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.prepared = run, prepare([run])
        setting = self.setting = self.prepared.setting
        self.method, self.problem, self.samples = setting.method, setting.problem, setting.samples
        self.shape, self.start = self.prepared.shape, setting.start
        self.given = self.problem, self.shape, self.samples
        (self.threshold,) = self.prepared.threshold
        self.coefficients = {k: float(each[0]) for k, each in self.prepared.coefficients.items()}

    @cached_property
    def record(self) -> Record:
        """The run, with the iterations of `FEW` among the recorded ones."""
        iterations = self.run.method.iterations
        spacing = self.run.record.spacing or self.problem.usual_spacing
        spaced = recorded_iterations(iterations, POINTS, spacing)
        recorded = np.union1d(spaced, [t for t in FEW if t <= iterations])
        return train(self.run, self.prepared, recorded)

    @property
    def rows(self) -> list[Row]:
        """The recorded iterations with finite numbers."""
        return [row for row in self.record.rows[0] if np.isfinite([*row.w, row.sharpness]).all()]

    @cached_property
    def some_rows(self) -> list[Row]:
        """Some of the recorded iterations, the first and the last among them."""
        rows = self.rows
        chosen = np.unique(np.linspace(0, len(rows) - 1, MOST_POINTS).round().astype(int))
        return [rows[index] for index in chosen]

    @property
    def points(self) -> list[np.ndarray]:
        """The parameters there."""
        return [row.w for row in self.some_rows]

    def active(self, w: np.ndarray) -> bytes:
        """Which hidden units are above 0 for which samples."""
        return bytes((inner(self.shape, self.samples, w) > 0).tobytes())

    def numbers(self) -> str:
        """Return the numbers that the rows are computed from, in three lines."""
        shape, of = self.shape, self.record
        momentum = self.coefficients.get("momentum")
        beta = "" if momentum is None else f", β {momentum:.6g}"
        crossing = "never" if of.crossing[0] is None else f"at iteration {of.crossing[0]}"
        return "\n".join(
            [
                f"network, n {shape.samples}, {shape.inputs} inputs, {shape.hidden} hidden units,"
                f" {shape.outputs} outputs, {shape.parameters} parameters,"
                f" {of.rows[0][-1].t} iterations",
                f"sharpness at the start {self.prepared.sharpness:.6g}, threshold"
                f" {self.threshold:.6g}, crossed {crossing}, loss at the end"
                f" {of.rows[0][-1].loss:.6g}",
                f"{self.method.name}, η {self.coefficients['step_size']:.6g}{beta}",
            ]
        )

    def table(self) -> list[tuple[str, ...]]:
        """Return a heading, and loss, gradient and sharpness at a few iterations."""
        rows = [row for row in self.rows if row.t in FEW]
        return [
            ("t", "loss", "‖∇L‖", "sharpness", "over threshold"),
            *(
                (
                    str(row.t),
                    *(f"{value:.6g}" for value in (row.loss, row.gradient_norm, row.sharpness)),
                    f"{row.sharpness / self.threshold:.6g}",
                )
                for row in rows
            ),
        ]

"""Which rows or columns each path draws, from random numbers of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gdconv.methods.sampling import Sampling

# So many random numbers are made at a time, at most.
AT_ONCE = 2**20


def drawn(
    method: Sampling, chances: np.ndarray, seed: int, repetition: int, iterations: int
) -> Iterator[np.ndarray]:
    """Yield what each path draws in each iteration, shape (paths, draws).

    Each path has a sequence of numbers between 0 and 1, of which an iteration takes the next ones.
    Without replacement they mix the numbers of all rows further, and the first are taken, sorted:
    then a batch of all rows is X itself.

    Parameters
    ----------
    chances : ndarray, shape (n,)
        The probability of each row or column.
    """
    paths, count, n = method.paths, method.draws, len(chances)
    if count == 0:
        for t in range(iterations):
            yield np.full((paths, 1), t % n)
        return
    ends = np.cumsum(chances)
    equal = bool((chances == chances[0]).all())
    mixed = None if method.with_replacement else np.tile(np.arange(n), (paths, 1))
    for numbers in _uniforms(paths, count, seed, repetition, iterations):
        if mixed is not None:
            yield _without_replacement(numbers, mixed)
        elif equal:
            # A number just below 1 times n may be rounded to n.
            yield np.minimum((numbers * n).astype(np.intp), n - 1)
        else:
            found = np.searchsorted(ends, numbers * ends[-1], side="right")
            yield np.minimum(found, np.flatnonzero(chances)[-1])


def _uniforms(
    paths: int, count: int, seed: int, repetition: int, iterations: int
) -> Iterator[np.ndarray]:
    """Yield the numbers of each iteration, shape (paths, count)."""
    # The problem has the key 0, its start 1, and gdconv-verify 2.
    keys = [(repetition, 3, path) for path in range(paths)]
    generators = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=k)) for k in keys]
    length = max(1, AT_ONCE // (paths * count))
    for start in range(0, iterations, length):
        shape = min(length, iterations - start), count
        block = np.stack([each.random(shape) for each in generators], axis=1)
        yield from block


def _without_replacement(numbers: np.ndarray, mixed: np.ndarray) -> np.ndarray:
    """The first steps of Fisher and Yates' shuffle of each path; `mixed` stays shuffled."""
    (paths, count), n = numbers.shape, mixed.shape[1]
    path = np.arange(paths)
    for place in range(count):
        left = n - place
        other = place + np.minimum((numbers[:, place] * left).astype(np.intp), left - 1)
        chosen = mixed[path, other]
        mixed[path, other] = mixed[:, place]
        mixed[:, place] = chosen
    return np.sort(mixed[:, :count], axis=1)

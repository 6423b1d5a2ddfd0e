"""Parameters in files: what is written is read again, and what does not fit is refused."""

import os
import pickle
import re

import numpy as np
import pytest

from nnlib import Graph
from nnlib.nn import Linear, ReLU, Sequential
from nnlib.parameters import load, save


def network(seed=0, sizes=(3, 4, 2), dtype=np.float64):
    g, rng = Graph(), np.random.default_rng(seed)
    first, last = (Linear(g, *pair, rng, dtype=dtype) for pair in (sizes[:2], sizes[1:]))
    return g, Sequential(first, ReLU(g), last)


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path):
    path = tmp_path / "network.npz"
    g, layers = network()
    g.set(layers.parameters[1], [-0.0, np.nan, np.inf, 5e-324])
    save(path, g, layers.parameters)
    twin, others = network(seed=1)
    output = others(twin.tensor(np.ones((1, 3))))
    twin.run_eval(output)
    load(str(path), twin, others.parameters)
    assert twin.value[output] is None
    for mine, other in zip(layers.parameters, others.parameters, strict=True):
        assert g.value[mine].tobytes() == twin.value[other].tobytes()
        assert not twin.value[other].flags.writeable
    with np.load(path, allow_pickle=False) as file:
        assert file.files == ["0 W", "1 b", "2 W", "3 b"]
        np.testing.assert_array_equal(file["0 W"], g.value[layers.parameters[0]])
    assert [each.name for each in tmp_path.iterdir()] == ["network.npz"]


def test_the_same_values_give_the_same_bytes_and_replace_a_file(tmp_path):
    g, layers = network()
    for name in ("one", "two"):
        save(tmp_path / name, g, layers.parameters)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    h, others = network(seed=1)
    save(tmp_path / "two", h, others.parameters)
    assert (tmp_path / "one").read_bytes() != (tmp_path / "two").read_bytes()


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "network.npz"
    g, layers = network()
    save(path, g, layers.parameters)
    before = path.read_bytes()

    def fail(_number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    h, others = network(seed=1)
    with pytest.raises(OSError, match="No space left"):
        save(path, h, others.parameters)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def refused(path, message, **options):
    g, layers = network(**options)
    before = [g.value[i].copy() for i in layers.parameters]
    with pytest.raises(ValueError, match=re.escape(message)):
        load(path, g, layers.parameters)
    for leaf, value in zip(layers.parameters, before, strict=True):
        np.testing.assert_array_equal(g.value[leaf], value)


def test_parameters_that_do_not_fit_are_refused_and_none_is_set(tmp_path):
    path = tmp_path / "network.npz"
    g, layers = network()
    save(path, g, layers.parameters)
    refused(path, "'2 W' is float64 of shape (4, 2), not float64 of shape (4, 5)", sizes=(3, 4, 5))
    refused(path, "'0 W' is float64 of shape (3, 4), not float32 of", dtype=np.float32)
    save(path, g, layers.parameters[:2])
    refused(path, "has the parameters '0 W', '1 b', not '0 W', '1 b', '2 W', '3 b'")
    save(path, g, [])
    refused(path, "has the parameters none, not '0 W'")


def damaged(path, kind):
    g, layers = network()
    save(path, g, layers.parameters)
    content = path.read_bytes()
    middle = len(content) // 3
    flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
    contents = {"empty": b"", "text": b"a,b\n1,2\n", "cut": content[:middle], "flipped": flipped}
    if kind in contents:
        path.write_bytes(contents[kind])
    with path.open("wb" if kind not in contents else "ab") as file:
        if kind == "array":
            np.save(file, np.ones(3))
        elif kind == "pickle":
            pickle.dump({"0 W": 1}, file)
        elif kind == "objects":
            np.savez(file, **{"0 W": np.array([{}])})


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "flipped", "array", "pickle", "objects"])
def test_a_file_that_is_none_or_damaged_is_refused(kind, tmp_path):
    path = tmp_path / "network.npz"
    damaged(path, kind)
    refused(path, f"{path}: no file of parameters, or damaged: ")


def test_a_missing_file_and_an_operation_are_refused(tmp_path):
    g, layers = network()
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none", g, layers.parameters)
    W, b, *_ = layers.parameters
    for function in (save, load):
        with pytest.raises(ValueError, match="must be leaves"):
            function(tmp_path / "none", g, [g.matmul(g.tensor(np.ones((1, 3))), W), b])

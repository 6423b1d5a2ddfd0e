"""Hessians: products with vectors, and the largest eigenvalue, which is called the sharpness."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from nnlib.graph import Graph
from nnlib.inputs import Vertex, real
from nnlib.program import Program

# Up to so many parameters the whole matrix is computed: ARPACK would need as many products.
_MOST_DENSE = 64


def hessian_vector_product(g: Graph, output: Vertex, wrt: Vertex) -> Program:
    """Return the product of an output's Hessian with a vector, as a function of the leaf and of it.

    It is the gradient of ⟨∇output, v⟩: B. A. Pearlmutter, "Fast exact multiplication by the
    Hessian", Neural Computation 6 (1994). The slopes of step, sign and their like are 0, so that
    the second derivative of relu is 0.

    Parameters
    ----------
    g : Graph
        Left unchanged.
    output : Vertex
        A single number.
    wrt : Vertex
        A leaf of any shape. The other leaves keep their present values.

    Returns
    -------
    Program
        Called with w and v, both of the shape of `wrt`, it returns Hv, of that shape.

    Raises
    ------
    ValueError
        If the output is not a single number, or `wrt` is no leaf.

    Examples
    --------
    >>> g = Graph()
    >>> w = g.tensor([1.0, 2.0])
    >>> product = hessian_vector_product(g, g.sum(g.mul(w, g.square(w))), w)
    >>> product([1.0, 2.0], [1.0, 10.0])
    (array([  6., 120.]),)
    """
    output, wrt = g.require([output, wrt])
    twin = g.copy()
    v = twin.tensor(np.zeros(g.shape[wrt], g.dtype[wrt]), "v")
    (gradient,) = twin.grad_graph(output, [wrt])
    along = twin.sum(twin.mul(gradient, v))
    return Program(twin, [wrt, v], twin.grad_graph(along, [wrt]))


def operator(program: Program) -> LinearOperator:
    """Return a program of `hessian_vector_product` as a symmetric operator on flat vectors.

    It is the Hessian at the latest w that the program was called with, at first the value that the
    leaf had. Each product is a new array, as SciPy needs it.
    """
    w, v = program.inputs

    def product(vector: np.ndarray) -> np.ndarray:
        (found,) = program(w, vector.reshape(v.shape))
        return found.ravel().copy()

    return LinearOperator((w.size, w.size), product, product, dtype=w.dtype)


def sharpness(g: Graph, output: Vertex, wrt: Vertex, v0: ArrayLike | None = None) -> float:
    """Return the largest eigenvalue of the Hessian of an output at the present value of a leaf.

    The same as `largest_eigenvalue` of a program that is made for this one call.

    Raises
    ------
    ValueError
        For the reasons of `hessian_vector_product` and `largest_eigenvalue`.

    Examples
    --------
    >>> g = Graph()
    >>> w = g.tensor([1.0, 2.0])
    >>> sharpness(g, g.sum(g.mul(w, g.square(w))), w)
    12.0
    """
    return largest_eigenvalue(hessian_vector_product(g, output, wrt), g.value[wrt], v0)


@np.errstate(all="ignore")
def largest_eigenvalue(program: Program, value: ArrayLike, v0: ArrayLike | None = None) -> float:
    """Return the largest eigenvalue of the Hessian at a point; the same bits in every call.

    Up to 64 parameters, the matrix is put together from as many products. Beyond, ARPACK's Lanczos
    method finds the eigenvalue from products alone, to the accuracy of rounding. If too many
    eigenvalues lie so close to the largest that it does not end, it is the matrix after all.

    Parameters
    ----------
    program : Program
        Of `hessian_vector_product`.
    value : array_like, shape of the leaf
        The point; the program keeps it as its w.
    v0 : array_like, shape of the leaf, optional
        Where Lanczos' method starts. It ends sooner if this is near the eigenvector, as that of an
        earlier point may be. A thousandth of a fixed vector is added, which no Hessian in practice
        is blind to. Otherwise eigenvectors orthogonal to v0 would not be found.

    Returns
    -------
    float
        NaN if a product is not finite, as after a run that has diverged.

    Raises
    ------
    ValueError
        If there are no parameters, or a shape does not fit, or v0 is not finite or is 0.
    """
    w = program.inputs[0]
    if w.size == 0:
        raise ValueError("without parameters there is no eigenvalue")
    start = _start(w, v0)
    program(value, start)
    hessian = operator(program)
    if w.size <= _MOST_DENSE:
        return _by_matrix(hessian)
    try:
        return _by_lanczos(hessian, start.ravel())
    except ArpackNoConvergence:
        return _by_matrix(hessian)


def _start(w: np.ndarray, v0: ArrayLike | None) -> np.ndarray:
    fixed = np.random.default_rng(0).standard_normal(w.shape)
    if v0 is None:
        return fixed
    given = real(v0).astype(np.float64)
    if given.shape != w.shape:
        raise ValueError(f"v0 has shape {given.shape}, not {w.shape}")
    largest = np.abs(given).max()
    if not 0 < largest < math.inf:
        raise ValueError("v0 must be finite and not 0")
    return given / largest + 1e-3 * fixed


def _by_matrix(hessian: LinearOperator) -> float:
    matrix = hessian.matmat(np.eye(hessian.shape[0], dtype=hessian.dtype)).astype(np.float64)
    if not np.isfinite(matrix).all():
        return math.nan
    return float(np.linalg.eigvalsh(matrix / 2 + matrix.T / 2)[-1])


def _by_lanczos(hessian: LinearOperator, start: np.ndarray) -> float:
    """Return the largest eigenvalue, or NaN if a product is not finite."""
    # No sum of squares, which would overflow before the products do.
    size = float(np.abs(hessian.matvec(start.astype(hessian.dtype))).max() / np.abs(start).max())
    if size == 0:
        # Otherwise rounding might leave something of it.
        return 0.0
    # Products are scaled to about 1, and √2 times the vector is added. So the error that ARPACK
    # accepts is relative to 1, also where the eigenvalue is 0 beside negative ones. And ARPACK,
    # which begins with the product of its start, does not lose vectors whose product is 0. A power
    # of two changes no digit, and no eigenvalue is likely to be −√2 after it.
    scale, shift = math.ldexp(1.0, min(-math.frexp(size)[1], 1000)), math.sqrt(2)

    def product(vector: np.ndarray) -> np.ndarray:
        found = hessian.matvec(vector.astype(hessian.dtype)).astype(np.float64)
        if not np.isfinite(found).all():
            raise _NotFiniteError
        return found * scale + vector * shift

    scaled = LinearOperator(hessian.shape, product, dtype=np.float64)
    # A Krylov space may end before ARPACK has enough vectors. Then it draws one: of its own state,
    # which earlier calls have changed, unless it is given a generator.
    rng = np.random.default_rng(0)
    limits = {"tol": np.finfo(hessian.dtype).eps, "maxiter": 100 + start.size // 10}
    options = {"which": "LA", "v0": start, "rng": rng, "return_eigenvectors": False}
    try:
        (found,) = eigsh(scaled, k=1, **options, **limits)
    except _NotFiniteError:
        return math.nan
    return float((found - shift) / scale)


class _NotFiniteError(Exception):
    """A product has an infinite or undefined element."""

"""Eigenvalues and eigenvectors of symmetric matrices."""

from __future__ import annotations

import numpy as np
from scipy import linalg


def symmetric_eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, ascending, and eigenvectors in columns.

    SciPy's driver, since the threads of the one that NumPy calls spin on for some 50 ms after a
    matrix of thirty rows, beside chains and other fits on the same cores.

    Parameters
    ----------
    matrix : numpy.ndarray
        Symmetric, shape (P, P); not finite ones have eigenvalues ``nan``.

    Returns
    -------
    eigenvalues : numpy.ndarray
        Shape (P,).
    vectors : numpy.ndarray
        Shape (P, P), orthonormal.

    Examples
    --------
    >>> symmetric_eigen(np.array([[2.0, 1.0], [1.0, 2.0]]))[0].round(12).tolist()
    [1.0, 3.0]
    """
    if matrix.size == 0:
        return np.zeros(0), np.zeros((0, 0))
    return linalg.eigh(matrix, check_finite=False)

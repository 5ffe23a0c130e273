r"""Weakly informative priors that know the units of the data.

A coefficient :math:`\beta_j` has the unit of y over the unit of :math:`x_j`, so a prior that is
weak for every data set is stated in that unit, :math:`s_y / s_{x_j}` (sd of the response over sd of
the covariate): rescaling a column rescales its coefficient and its prior together, and the fit
does not change. For the intercept of covariates that are not centred, write the regression about
the column means :math:`m_j`,

.. math:: \alpha = \alpha_c - \sum_j \beta_j m_j, \qquad
          s_\alpha^2 = m_y^2 + s_y^2 + \sum_j (s_y m_j / s_{x_j})^2 ,

where :math:`\alpha_c`, the response at the column means, has the unit
:math:`\sqrt{m_y^2 + s_y^2}`. Links other than the identity take :math:`m_y = 0, s_y = 1`.

The idea of scaling covariates before a default prior is Gelman, Jakulin, Pittau & Su (2008),
"A weakly informative default prior distribution for logistic and other regression models",
Annals of Applied Statistics 2(4), doi:10.1214/08-AOAS191 (Cauchy priors, covariates scaled to sd
0.5). The Normal(0, 2.5 units) used in ``models/`` is the later default of rstanarm.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike


def is_intercept(x_mean: ArrayLike, x_scale: ArrayLike) -> jax.Array:
    """Tell which column of a design is the intercept.

    Parameters
    ----------
    x_mean, x_scale : array_like
        Mean and sd of each column, shape (P,); a constant column's sd is given as 1.

    Returns
    -------
    jax.Array
        Shape (P,), true where mean and sd are both exactly 1 (as only the intercept's are, but for
        a coincidence).

    Examples
    --------
    >>> import numpy as np
    >>> is_intercept(np.array([1.0, 30.0]), np.array([1.0, 10.0])).tolist()
    [True, False]
    """
    return (jnp.asarray(x_mean) == 1) & (jnp.asarray(x_scale) == 1)


def coefficient_scale(
    x_mean: ArrayLike, x_scale: ArrayLike, y_mean: ArrayLike = 0.0, y_scale: ArrayLike = 1.0
) -> jax.Array:
    r"""Give each coefficient of a linear predictor its unit.

    Parameters
    ----------
    x_mean, x_scale : array_like
        Mean and sd of each column of the design, shape (P,), the intercept's as in
        :func:`is_intercept`.
    y_mean, y_scale : float, optional
        Mean and sd of the response; 0 and 1 for a predictor on a link's scale.

    Returns
    -------
    jax.Array
        Shape (P,): ``y_scale / x_scale[j]`` for a covariate, and for the intercept
        ``sqrt(y_mean**2 + y_scale**2 + sum_j (y_scale * x_mean[j] / x_scale[j])**2)`` with the sum
        over the covariates.

    References
    ----------
    Gelman, A., Jakulin, A., Pittau, M. G. & Su, Y.-S. (2008). A weakly informative default prior
    distribution for logistic and other regression models. Annals of Applied Statistics 2(4).
    doi:10.1214/08-AOAS191

    Examples
    --------
    >>> import numpy as np
    >>> scale = coefficient_scale(np.array([1.0, 30.0]), np.array([1.0, 10.0]), 0.0, 4.0)
    >>> [round(float(s), 4) for s in scale]  # sqrt(4**2 + 12**2) and 4 / 10
    [12.6491, 0.4]
    """
    x_mean, x_scale = jnp.asarray(x_mean), jnp.asarray(x_scale)
    intercept = is_intercept(x_mean, x_scale)
    slope = y_scale / x_scale
    shifts = jnp.where(intercept, 0.0, slope * x_mean)
    centre = jnp.sqrt(jnp.square(y_mean) + jnp.square(y_scale) + jnp.sum(jnp.square(shifts)))
    return jnp.where(intercept, centre, slope)


def standardise(
    x: ArrayLike, x_mean: ArrayLike, x_scale: ArrayLike, num_covariates: int | None = None
) -> jax.Array:
    """Centre and scale the covariates, and leave out the intercept.

    Parameters
    ----------
    x : array_like
        Design, shape (N, P).
    x_mean, x_scale : array_like
        Mean and sd of each column, shape (P,), of the rows the model was fitted to.
    num_covariates : int, optional
        Number of columns besides the intercept, which stands first. When not given, the values of
        mean and sd are needed (not traced), since they decide how many columns remain.

    Returns
    -------
    jax.Array
        Shape (N, P), or (N, P - 1) when a column is the intercept.

    Examples
    --------
    >>> import numpy as np
    >>> standardise(np.array([[1.0, 2.0], [1.0, 6.0]]), np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    Array([[-1.],
           [ 1.]], dtype=float64)
    """
    x, mean, scale = jnp.asarray(x), jnp.asarray(x_mean), jnp.asarray(x_scale)
    if num_covariates is None:
        covariate = np.flatnonzero((np.asarray(x_mean) != 1) | (np.asarray(x_scale) != 1))
    else:
        covariate = np.arange(x.shape[1] - num_covariates, x.shape[1])
    return (x[:, covariate] - mean[covariate]) / scale[covariate]

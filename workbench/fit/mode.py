"""The result of a mode fit: estimates, standard errors, curvature and path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
import pandas as pd
from scipy import stats

from workbench.errors import FitError
from workbench.fit.compilation import compiled
from workbench.fit.covariance import (
    CovType,
    ParameterCovariance,
    parameter_covariance,
    term_std_errors,
)
from workbench.fit.hypothesis import HypothesisTest, TestKind, hypothesis_test
from workbench.fit.intervals import wald_interval
from workbench.fit.optima import find_optima
from workbench.fit.optimiser import History, Starts
from workbench.fit.prediction import Prediction, predict_from_draws
from workbench.fit.provenance import Provenance
from workbench.fit.residuals import ResidualKind, influence, residuals
from workbench.fit.rows import leverages, row_index, row_scores
from workbench.fit.spectral import symmetric_eigen
from workbench.fit.status import Status
from workbench.model import Density, LogTerms


@dataclass(frozen=True, kw_only=True, eq=False)
class ModeFit:
    """A maximum of the log-likelihood (MLE, penalised: Firth) or log posterior (MAP, Laplace).

    It also speaks statsmodels: ``params``, ``bse``, ``tvalues``, ``pvalues``, ``conf_int``,
    ``cov_params``, ``llf``, ``aic``, ``bic``, ``nobs``.

    Attributes
    ----------
    method : str
        ``MLE``, ``REML``, ``MAP``, ``Laplace`` or ``Firth``.
    space : str
        ``constrained`` or ``unconstrained``: the space whose mode it is (an MLE is invariant and
        says ``constrained``).
    values : dict of str to numpy.ndarray
        Constrained values of every site at the mode; random effects at their conditional mode.
    estimates : pandas.DataFrame
        Indexed by term: ``estimate``, ``std_error`` (delta method), ``support_lower``,
        ``support_upper``, ``role``, ``reason`` (why a standard error is ``nan``).
    z : numpy.ndarray
        The mode, unconstrained, shape (D,).
    z_labels : tuple of str
        Labels of z.
    log_objective : float
        The maximised function, nats.
    log_terms : LogTerms
        Log-likelihood (marginal where random effects are declared, restricted for REML), and log
        prior at the mode.
    information, covariance : numpy.ndarray
        Observed information of the parameters and covariance of z, shapes (P, P) and (D, D). That
        of random effects is of the error of their prediction: their conditional covariance plus
        that of their mode as it moves with the estimated parameters (Kass and Steffey 1989,
        doi:10.1080/01621459.1989.10478825); with known variances, Henderson's.
    null_directions : tuple of dict
        Combinations (label to weight) along which the objective is flat or runs away.
    eigenvalues : numpy.ndarray
        Spectrum of the information in scaled coordinates, shape (P,).
    condition_number : float
        Of the information scaled to a unit diagonal.
    num_parameters, num_observations : int
        P and N.
    status : Status
        How the fit ended.
    detail : str
        What the status is about, in a sentence (empty when converged).
    starts : Starts
        Every start.
    history : History
        The winning path.
    provenance : Provenance
        Versions, seed, time, fingerprints.
    density : Density or None
        The model at its data; ``None`` when loaded without a model.

    Examples
    --------
    >>> import workbench as wb
    >>> from models.linear import MODEL
    >>> fit = wb.fit_mle(MODEL, wb.load_dataset("kidiq"))
    >>> fit.params.round(3).to_dict()  # doctest: +NORMALIZE_WHITESPACE
    {'beta[Intercept]': 25.732, 'beta[mom_hs]': 5.95, 'beta[mom_iq]': 0.564, 'sigma': 18.073}
    >>> fit.status.ok
    True
    """

    method: Literal["MLE", "REML", "MAP", "Laplace", "Firth"]
    space: Literal["constrained", "unconstrained"]
    values: dict[str, np.ndarray]
    estimates: pd.DataFrame
    z: np.ndarray
    z_labels: tuple[str, ...]
    log_objective: float
    log_terms: LogTerms
    information: np.ndarray
    covariance: np.ndarray
    null_directions: tuple[dict[str, float], ...]
    eigenvalues: np.ndarray
    condition_number: float
    num_parameters: int
    num_observations: int
    status: Status
    detail: str
    starts: Starts
    history: History
    provenance: Provenance
    density: Density | None

    def summary(
        self, level: float = 0.95, *, cov_type: CovType = "observed", groups: Any = None
    ) -> pd.DataFrame:
        r"""Estimate, standard error and interval of every term.

        Parameters
        ----------
        level : float
            Level of the interval.
        cov_type, groups
            Which covariance, as in :meth:`std_errors`.

        Returns
        -------
        pandas.DataFrame
            Columns ``term, estimate, std_error, lower, upper, reason``. Intervals are built on
            the scale of the support.

        Notes
        -----
        The standard error is :math:`\sqrt{g^T V g}` with :math:`g` the gradient of the term in z
        and V the covariance, by default the inverse observed information (delta method; van der
        Vaart, Asymptotic Statistics, chapter 3).

        Examples
        --------
        >>> import numpyro, numpyro.distributions as dist
        >>> from workbench.fit import fit_mle
        >>> def normal(y=None):
        ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
        ...     numpyro.sample("y", dist.Normal(mu, 1), obs=y)
        >>> fit = fit_mle(normal, {"y": [1.0, 2.0, 3.0, 2.0]})
        >>> fit.summary()[["term", "estimate", "std_error"]].round(6).values.tolist()
        [['mu', 2.0, 0.5]]
        """
        e = self.estimates
        errors = self.std_errors(cov_type, groups=groups)
        low, high = wald_interval(
            e["estimate"].to_numpy(),
            errors["std_error"].to_numpy(),
            e["support_lower"].to_numpy(),
            e["support_upper"].to_numpy(),
            level,
        )
        return pd.DataFrame(
            {
                "term": e.index,
                "estimate": e["estimate"].to_numpy(),
                "std_error": errors["std_error"].to_numpy(),
                "lower": low,
                "upper": high,
                "reason": errors["reason"].to_numpy(),
            }
        )

    # -- the statsmodels face ----------------------------------------------------------------
    @property
    def params(self) -> pd.Series:
        """Estimates by term."""
        return self.estimates["estimate"]

    @property
    def bse(self) -> pd.Series:
        """Standard errors by term."""
        return self.estimates["std_error"]

    @property
    def tvalues(self) -> pd.Series:
        """Estimate over standard error (for scales the hypothesis 0 is not interior)."""
        return self.params / self.bse

    @property
    def pvalues(self) -> pd.Series:
        """Two-sided normal tail probability of :attr:`tvalues`."""
        return pd.Series(2 * stats.norm.sf(np.abs(self.tvalues)), index=self.params.index)

    @property
    def llf(self) -> float:
        """Log-likelihood at the mode (marginal over declared random effects), nats."""
        return float(self.log_terms.log_likelihood)

    @property
    def nobs(self) -> int:
        """Number of observations N."""
        return self.num_observations

    @property
    def aic(self) -> float:
        """Akaike's criterion ``2 P - 2 llf``; ``nan`` unless this is an MLE."""
        return 2 * self.num_parameters - 2 * self.llf if self.method == "MLE" else np.nan

    @property
    def bic(self) -> float:
        """Schwarz's criterion ``P log N - 2 llf``; ``nan`` unless this is an MLE."""
        if self.method != "MLE" or self.nobs == 0:
            return np.nan
        return float(self.num_parameters * np.log(self.nobs) - 2 * self.llf)

    def conf_int(
        self, level: float = 0.95, *, cov_type: CovType = "observed", groups: Any = None
    ) -> pd.DataFrame:
        """Confidence interval by term, columns ``lower`` and ``upper``, see :meth:`summary`."""
        table = self.summary(level, cov_type=cov_type, groups=groups)
        return table.set_index("term")[["lower", "upper"]]

    def cov_params(
        self,
        cov_type: CovType = "observed",
        *,
        groups: Any = None,
        use_correction: bool = True,
    ) -> pd.DataFrame:
        r"""Covariance of the unconstrained coordinates, labelled.

        Parameters
        ----------
        cov_type : str
            ``observed`` (inverse observed information), ``expected`` (inverse Fisher information;
            :math:`\sigma^2 (J^T J)^{-1}` for normal noise, with :math:`\sigma^2 = RSS / N`),
            ``HC0`` to ``HC3`` (sandwich), or ``cluster``.
        groups : array_like, optional
            Label of each row, shape (N,), for ``cluster``.
        use_correction : bool
            Whether ``cluster`` is multiplied by ``G/(G-1) * (N-1)/(N-K)``, as in statsmodels.

        Returns
        -------
        pandas.DataFrame
            ``nan`` where the data give none; :meth:`std_errors` says why.

        Raises
        ------
        FitError
            Where the model does not have such a covariance: see
            :func:`workbench.fit.covariance.parameter_covariance`.
        UsageError
            When the type is unknown or groups do not belong to it.

        Notes
        -----
        Formulas and references are at the head of :mod:`workbench.fit.covariance`. K counts the
        parameters of the means, so that the scale of a normal model does not count.

        Examples
        --------
        >>> import workbench as wb
        >>> from models.linear import MODEL
        >>> fit = wb.fit_mle(MODEL, wb.load_dataset("kidiq"))
        >>> robust = fit.cov_params("HC3")
        >>> round(float(robust.loc["beta[mom_iq]", "beta[mom_iq]"] ** 0.5), 4)
        0.0595
        """
        found = self._covariance(cov_type, groups, use_correction)
        labels = list(self.z_labels)
        return pd.DataFrame(found.matrix, index=labels, columns=labels)

    def std_errors(
        self,
        cov_type: CovType = "observed",
        *,
        groups: Any = None,
        use_correction: bool = True,
    ) -> pd.DataFrame:
        """Standard error of every term under a covariance, by the delta method.

        Parameters
        ----------
        cov_type, groups, use_correction
            As in :meth:`cov_params`.

        Returns
        -------
        pandas.DataFrame
            Indexed by term, columns ``std_error`` and ``reason`` (why it is ``nan``).

        Examples
        --------
        A Poisson mean, fitted to counts twice as dispersed as Poisson's law says:

        >>> import numpyro, numpyro.distributions as dist
        >>> from workbench.fit import fit_mle
        >>> def counts(y=None):
        ...     mu = numpyro.sample("mu", dist.Gamma(1, 1))
        ...     numpyro.sample("y", dist.Poisson(mu), obs=y)
        >>> fit = fit_mle(counts, {"y": [0, 0, 4, 4]})
        >>> [round(float(fit.std_errors(c).loc["mu", "std_error"]), 6) for c in ("expected", "HC0")]
        [0.707107, 1.0]
        """
        return term_std_errors(self, self._covariance(cov_type, groups, use_correction))

    def _covariance(self, cov_type: CovType, groups: Any, correct: bool) -> ParameterCovariance:
        return parameter_covariance(self, cov_type, groups=groups, use_correction=correct)

    def test(
        self,
        hypothesis: str,
        *,
        kind: TestKind = "wald",
        cov_type: CovType | None = None,
        groups: Any = None,
    ) -> HypothesisTest:
        r"""Test linear hypotheses about terms, written by name.

        Parameters
        ----------
        hypothesis : str
            Equations separated by commas: ``"x1 = x2"``, ``"beta[x1] = 0, sigma = 1"``,
            ``"2 * x1 + x2 = 1"``. A term is named as in the table, or by what stands in its
            brackets where no other term has the same.
        kind : str
            ``wald``, ``likelihood ratio`` (the model is fitted again under the hypothesis) or
            ``score``.
        cov_type : str, optional
            Covariance of a Wald test, as in :meth:`cov_params` (``observed`` by default);
            information of a score test, ``expected`` (default) or ``observed``.
        groups : array_like, optional
            Label of each row, for a Wald test with ``cov_type="cluster"``.

        Returns
        -------
        HypothesisTest
            Statistic, degrees of freedom and p-value, or the reason why there is none.

        Raises
        ------
        FitError
            When the fit is not an MLE, or a term moves with a random effect.
        UsageError
            When the hypothesis cannot be read, or the arguments do not go together.

        Notes
        -----
        Formulas and references are at the head of :mod:`workbench.fit.hypothesis`.

        Examples
        --------
        >>> import workbench as wb
        >>> from models.linear import MODEL
        >>> fit = wb.fit_mle(MODEL, wb.load_dataset("kidiq"))
        >>> made = fit.test("mom_hs = 0", kind="likelihood ratio")
        >>> round(made.statistic, 3), made.df, round(made.p_value, 4)
        (7.227, 1, 0.0072)
        """
        return hypothesis_test(self, hypothesis, kind=kind, cov_type=cov_type, groups=groups)

    # -- rows --------------------------------------------------------------------------------
    def residuals(self, kind: ResidualKind = "response", *, seed: int = 0) -> pd.Series:
        r"""Residual of every row.

        Parameters
        ----------
        kind : str
            ``response``, ``pearson``, ``deviance`` or ``quantile`` (randomised for counts).
        seed : int
            Seed of the uniform numbers that make quantile residuals of counts continuous.

        Returns
        -------
        pandas.Series
            By row, shape (N,); ``nan`` where the model masks the row.

        Raises
        ------
        FitError
            When rows have no means (several observed sites, random effects), or the family's
            deviance or distribution function is not known.
        UsageError
            When the kind is unknown.

        Notes
        -----
        Formulas and references are at the head of :mod:`workbench.fit.residuals`. Pearson and
        deviance residuals are over the scale: those of normal rows are
        :math:`(y - \mu) / \sigma`.

        Examples
        --------
        >>> import numpyro, numpyro.distributions as dist
        >>> from workbench.fit import fit_mle
        >>> def counts(y=None):
        ...     mu = numpyro.sample("mu", dist.Gamma(1, 1))
        ...     numpyro.sample("y", dist.Poisson(mu), obs=y)
        >>> fit_mle(counts, {"y": [2, 6]}).residuals("pearson").round(9).tolist()
        [-1.0, 1.0]
        """
        return residuals(self, kind, seed=seed)

    def leverage(self) -> pd.Series:
        """Leverage of every row: the diagonal of the generalised hat matrix, shape (N,).

        Returns
        -------
        pandas.Series
            Between 0 and 1; they sum to the number of parameters of the means.

        Raises
        ------
        FitError
            When it is not defined: several observed sites, random effects, rows without a variance.

        Notes
        -----
        Formula and references are at the head of :mod:`workbench.fit.rows`.
        """
        density = self.require_density()
        values = leverages(density, self.z)
        return pd.Series(values, index=row_index(density, len(values)), name="leverage")

    def scores(self) -> pd.DataFrame:
        """Score of every row: derivative of its log-likelihood in z, shape (N, P).

        Returns
        -------
        pandas.DataFrame
            By row; columns are the unconstrained coordinates. At an MLE the columns sum to zero.

        Raises
        ------
        FitError
            When the likelihood does not fall apart into rows (random effects, factors).
        """
        density = self.require_density()
        values = row_scores(density, self.z)
        return pd.DataFrame(values, index=row_index(density, len(values)), columns=self.z_labels)

    def influence(self) -> pd.DataFrame:
        """Leverage, Cook's distance and one-step change of every term by leaving out a row.

        Returns
        -------
        pandas.DataFrame
            By row: ``leverage``, ``standardised_residual``, ``cooks_distance`` and
            ``dfbeta TERM`` for each term, see :func:`workbench.fit.residuals.influence`.

        Raises
        ------
        FitError
            When the fit is not an MLE, or leverages are not defined.

        Examples
        --------
        >>> import workbench as wb
        >>> from models.linear import MODEL
        >>> fit = wb.fit_mle(MODEL, wb.load_dataset("kidiq"))
        >>> table = fit.influence()
        >>> int(table["cooks_distance"].argmax()), float(table["leverage"].sum().round(9))
        (212, 3.0)
        """
        return influence(self)

    def optima(self) -> pd.DataFrame:
        """The distinct maxima that the starts ended at, best first.

        Returns
        -------
        pandas.DataFrame
            ``log_objective``, ``below_best``, ``num_starts``, ``num_places``, ``log_mass``,
            ``mass``, ``maximum``; see :class:`workbench.fit.optima.Optima`.
        """
        return find_optima(self).table

    # -- draws and predictions ---------------------------------------------------------------
    def draws(self, key: jax.Array, num: int) -> dict[str, np.ndarray]:
        """Draws of every site from the normal approximation in z, each of shape (num, ...).

        Raises
        ------
        FitError
            When the fit has directions without a standard error, or was loaded without a model.
        """
        density = self.require_density()
        if not self.status.ok and self.null_directions:
            raise FitError(
                f"the {self.method} of model '{density.model.name}' has no covariance to draw "
                f"from ({self.detail or self.status.value}): expected a regular maximum"
            )
        values, vectors = symmetric_eigen(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = jax.random.normal(key, (num, self.z.size))
        z = self.z + normal @ root.T
        arrays = density.arrays
        out = _values_at(density)(z, arrays)
        return {k: np.asarray(v) for k, v in out.items()}

    def predict(
        self,
        new_data: Any = None,
        *,
        key: jax.Array | None = None,
        num: int = 1000,
        level: float = 0.95,
    ) -> Prediction:
        """Predict from the model with its parameters at the mode (plug-in).

        Parameters
        ----------
        new_data : Dataset, optional
            Rows to predict; the fitted data by default.
        key : jax.Array, optional
            Random key of the predictive draws; fixed by default.
        num : int
            Number of predictive draws.
        level : float
            Level of the predictive interval.

        Returns
        -------
        Prediction
            The plug-in predictive distribution: noise, but no uncertainty of the parameters.
        """
        density = self.require_density()
        latent = {x.name: np.asarray(self.values[x.name])[None] for x in density.latents}
        repeated = {k: np.repeat(v, num, axis=0) for k, v in latent.items()}
        return predict_from_draws(
            density, repeated, new_data, method=self.method, key=key, level=level
        )

    def require_density(self) -> Density:
        """The model at its data, or an error that says how to have it."""
        if self.density is None:
            raise FitError(
                f"this {self.method} was loaded without its model: expected "
                "load(path, model=...) before draws or predictions"
            )
        return self.density

    def __str__(self) -> str:
        """Summary table, the status below."""
        head = f"{self.method}  log-likelihood {self.llf:.6g}  N {self.nobs}\n"
        table = self.summary().drop(columns="reason").to_string(index=False)
        return f"{head}{table}\n{self.detail or self.status.value}"

    def _repr_html_(self) -> str:
        return self.summary().to_html(index=False) + f"<p>{self.detail or self.status.value}</p>"


@compiled
def _values_at(density: Density) -> Callable[..., dict[str, jax.Array]]:
    """Compiled values of the sites at many points."""
    return jax.jit(jax.vmap(density.constrain, in_axes=(0, None)))

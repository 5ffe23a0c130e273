"""Generalised linear models through formulas, against estimates that R or Stata printed.

"const" is a column of ones, our Intercept.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import workbench as wb
from workbench.fit import Status

from .cases import load_case, load_frame

# How far a printed estimate may lie from the maximum, in standard errors, and a printed standard
# error from the one of the same kind computed here, relatively. Each is the next power of ten
# above what a Newton fit outside of this project found (`agreement` in case.json): the printed
# digits and the other program's stopping rule, not ours.
TOLERANCE = {
    "spector_logit": (1e-6, 1e-6),
    "cpunish_poisson_log": (1e-6, 1e-5),
    "star98_binomial_logit": (1e-6, 1e-6),
    "anes_multinomial_logit": (1e-6, 1e-6),
    "ucla_ordered_logit": (1e-3, 1e-3),
    "randhie_poisson": (1e-6, 1e-6),
    "scotvote_gamma_inverse": (1e-6, 1e-6),
    "cancer_gamma_log": (1e-4, 1e-6),
    "medpar_invgauss_log": (1e-3, 1e-4),
}
FAMILY = {
    "spector_logit": "binomial",
    "cpunish_poisson_log": "poisson",
    "star98_binomial_logit": "binomial",
    "anes_multinomial_logit": "categorical",
    "ucla_ordered_logit": "ordinal",
    "randhie_poisson": "poisson",
    "randhie_negbin2": "negative_binomial",
    "scotvote_gamma_inverse": "gamma(inverse)",
    "cancer_gamma_log": "gamma",
    "medpar_invgauss_log": "inverse_gaussian",
}
DISPERSED = ["scotvote_gamma_inverse", "cancer_gamma_log", "medpar_invgauss_log"]


def formula(name, frame):
    """The response stands first in the table, every other column is a covariate."""
    response, *covariates = frame.columns
    if name == "star98_binomial_logit":
        covariates = covariates[1:]
    if FAMILY[name] in ("ordinal", "categorical"):
        response = f"C({response})"
    return f"{response} ~ {' + '.join(covariates)}"


def term(name, certified):
    """Our label of a certified parameter."""
    column, _, level = certified.partition("|PID=")
    column = "Intercept" if column == "const" else column
    if level:
        return f"beta[{level}, {column}]"
    return {"cut1": "cut[0|1]", "cut2": "cut[1|2]"}.get(column, f"beta[{column}]")


@functools.cache
def fitted(name):
    """The case, its fit, and certified estimates and standard errors by our terms."""
    case, frame = load_case("glm", name), load_frame("glm", name)
    trials = "I(n_above + n_below)" if name == "star98_binomial_logit" else None
    made = wb.formula_model(formula(name, frame), frame, family=FAMILY[name], trials=trials)
    certified = {term(name, k): v for k, v in case["certified"].items() if k != "alpha"}
    return case, wb.fit_mle(made.model, made.data), certified


@functools.cache
def expected_information(name):
    r"""Standard errors and dispersion as R and Stata print them where there is a dispersion.

    With V the variance of y at dispersion 1, the information is
    :math:`\sum_i \dot\mu_i \dot\mu_i^\top / V_i`, and its inverse is multiplied by the Pearson
    dispersion :math:`\sum_i (y_i - \mu_i)^2 / V_i / (N - P)`.
    """
    _, fit, certified = fitted(name)
    density = fit.density
    y = density.data.observed["y"]

    def mean(z):
        return density.evaluate(z).distributions["y"].mean

    slope = np.asarray(jax.jacfwd(mean)(jnp.asarray(fit.z)))[:, : len(certified)]
    made = density.evaluate(jnp.asarray(fit.z)).distributions["y"]
    unit = np.asarray(made.variance) * float(fit.params["shape"])
    pearson = np.sum((y - np.asarray(made.mean)) ** 2 / unit) / (len(y) - len(certified))
    # coefficients of the inverse link have coordinates of their own
    moved = jax.jacfwd(lambda z: density.constrain(z)["beta"])(jnp.asarray(fit.z))
    slope = slope / np.diag(np.asarray(moved)[:, : len(certified)])
    error = np.sqrt(pearson * np.diag(np.linalg.inv(slope.T @ (slope / unit[:, None]))))
    labels = density.data.coords["coefficient"]
    return {f"beta[{label}]": e for label, e in zip(labels, error, strict=True)}, pearson


@pytest.mark.parametrize("name", TOLERANCE)
def test_estimates_and_standard_errors(name):
    _, fit, certified = fitted(name)
    in_errors, relative = TOLERANCE[name]
    assert fit.status is Status.CONVERGED
    assert set(fit.params.index) - {"shape"} == set(certified)
    errors = expected_information(name)[0] if name in DISPERSED else fit.bse
    for label, value in certified.items():
        assert (fit.params[label] - value["estimate"]) / value["se"] == pytest.approx(
            0, abs=in_errors
        )
        assert errors[label] == pytest.approx(value["se"], rel=relative)


@pytest.mark.parametrize("name", DISPERSED)
def test_dispersion_and_log_likelihood(name):
    case, fit, certified = fitted(name)
    assert expected_information(name)[1] == pytest.approx(case["dispersion"], rel=1e-4)
    # R takes deviance / N for the dispersion in its log-likelihood, and prints the AIC with one
    # parameter for it; the estimates' own distance from the maximum enters squared
    density, shape = fit.density, case["n"] / case["deviance"]
    z = jnp.asarray(fit.z).at[-1].set(jnp.log(shape))
    assert density.z_labels[-1] == "log(shape)"
    theirs = -case["aic"] / 2 + len(certified) + 1
    assert float(density.log_terms(z).log_likelihood) == pytest.approx(theirs, rel=1e-8)


@pytest.mark.parametrize("name", ["cancer_gamma_log", "medpar_invgauss_log"])
def test_estimates_beyond_the_printed_digits(name):
    # a float64 fit outside of this project, which stopped at its own rule
    case, fit, _ = fitted(name)
    for key, value in case["refit"].items():
        assert fit.params[term(name, key)] == pytest.approx(value, rel=1e-6)


@pytest.mark.slow  # 20,190 rows with lgamma in every one
def test_negative_binomial():
    case, fit, certified = fitted("randhie_negbin2")
    assert fit.status is Status.CONVERGED
    for label, value in certified.items():
        difference = fit.params[label] - value["estimate"]
        assert difference / value["se"] == pytest.approx(0, abs=1e-6)
    # alpha is 1 / phi. glm.nb takes it as known for the coefficients' standard errors (hence up to
    # 2.7 % off); Stata's for alpha is of the observed information, printed to 6 digits
    phi, alpha = fit.params["phi"], case["certified"]["alpha"]
    assert (1 / phi - alpha["estimate"]) / alpha["se"] == pytest.approx(0, abs=1e-6)
    assert fit.bse["phi"] / phi**2 == pytest.approx(alpha["se"], rel=1e-5)
    assert fit.llf == pytest.approx(case["log_likelihood"], rel=1e-12)


@pytest.mark.parametrize(
    "name", [name for name in TOLERANCE if name not in ("ucla_ordered_logit", *DISPERSED)]
)  # R's polr printed none
def test_log_likelihood(name):
    case, fit, _ = fitted(name)
    # llf is stationary: an estimate 1e-6 standard errors off changes it by 1e-12 at most, but
    # Stata's value for spector is itself 6e-8 off
    assert fit.llf == pytest.approx(case["log_likelihood"], rel=1e-7)

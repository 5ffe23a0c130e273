"""Posteriors of the classic BUGS examples: the sampler's means and sds against JAGS's.

The references are ordinary runs of 1,000 to 10,000 Gibbs draws, so their Monte Carlo errors are
the larger ones; the error of an sd follows from that of its mean.
"""

from __future__ import annotations

import pytest

from .cases import load_case, names
from .models_bugs import CASES
from .posterior import bound, deviations

# 71 parameters with mean and sd: of a right sampler, 1 seed in 100 breaks this bound (4.0) anywhere
BOUND = bound(2 * 71)

# five points leave three degrees of freedom: sigma, and the coefficients, which are Student's t
# with three, have no fourth moment, so that their sds have no Monte Carlo error to compare by
NO_ERROR = {"line": {(term, "sd", "reference") for term in ("alpha", "beta", "sigma")}}
# 20 s of CPU and more each: run by hand
COSTLY = {"birats", "blocker", "epil", "equiv", "orange", "pump", "salm", "seeds"}


def marked(name):
    marks = [pytest.mark.slow, *([pytest.mark.reference] if name in COSTLY else [])]
    return pytest.param(name, marks=marks)


def test_every_case_has_a_model():
    assert sorted(CASES) == names("classic_bugs")
    assert sum(len(load_case("classic_bugs", name)["reference"]) for name in CASES) == 71


@pytest.mark.parametrize("name", [marked(name) for name in sorted(CASES)])
def test_posterior(name):
    fit = CASES[name].fit()
    assert fit.status.ok, fit.detail
    found = deviations(fit.samples, load_case("classic_bugs", name))
    compared = {key: z for key, z in found.items() if key not in NO_ERROR.get(name, ())}
    assert {key: z for key, z in compared.items() if not abs(z) < BOUND} == {}

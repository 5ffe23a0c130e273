# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7. Derivatives, integrals and limits of a fit
#
# **Question.** Maximum likelihood is the zero of a derivative, a posterior mean is an integral, and
# the two meet in a limit. *How exact is each of them on a computer, and how far apart are they on
# real counts?*
#
# The data are 236 counts of epileptic seizures, under a drug or a placebo, and a Poisson
# regression.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import logsumexp

import workbench as wb
import workbench.az as az
from models import negative_binomial, poisson
from workbench import plot

plt.rcParams["figure.dpi"] = 80
data = wb.load_dataset("epil")
density = wb.read_density(poisson.MODEL, data)
DRUG = "beta[treatment[progabide]]"
fit = wb.fit_mle(density)
fit.summary()[["term", "estimate", "std_error"]].round(4)

# %% [markdown]
# ## Derivatives: the score
#
# The score is the gradient of the log-likelihood. At the estimate it is zero, and falls through it
# with slope $-1$ when both are measured in standard errors. Automatic differentiation gives it to
# rounding; a finite difference has an error of truncation that falls with the step and one of
# rounding that rises. Leaving a row out moves the estimate by $-J^{-1} s_i$, the row's own score
# over the information, up to terms of second order.

# %%
slope = wb.score(density, mle=fit, coordinate=DRUG, quick=True)
print(*slope.sentences, sep="\n")
plot.score(slope)
slope.influence.loc[slope.influence["refit"].abs().nlargest(3).index].round(4)

# %% [markdown]
# ## Integrals: expectations
#
# What the drug does to the rate is $e^{\beta}$. Its posterior mean is an integral, which NUTS gives
# as an average, with a Monte Carlo error; the maximum likelihood estimate is a value at a point.
# Between the two is Jensen's inequality: the mean of a convex function is above the function of the
# mean, by about half the variance.

# %%
draws = wb.fit_nuts(density, seed=1)
beta = draws.term(DRUG)
ratio = np.exp(beta)
pd.Series(
    {
        "at the maximum of the likelihood": np.exp(fit.params[DRUG]),
        "at the posterior mean of beta": np.exp(beta.mean()),
        "posterior mean": ratio.mean(),
        "its Monte Carlo error": float(az.mcse(ratio)),
        "half the variance, by Jensen": np.exp(beta.mean()) * beta.var() / 2,
    },
    name="rate ratio",
).round(6).to_frame()

# %% [markdown]
# ## Integrals: the evidence
#
# The largest integral of a fit is over all its parameters, $p(y) = \int p(y \mid \theta)
# p(\theta) d\theta$: how probable the data were before they were seen. Estimators that know nothing
# of each other agree on it; where they do, two models can be compared.

# %%
models = {m.__name__.split(".")[-1]: m.MODEL for m in (poisson, negative_binomial)}
known = {
    name: wb.evidence(m, data, seed=1, quick=True, nuts=draws if name == "poisson" else None)
    for name, m in models.items()
}
for name, found in known.items():
    print(f"{name}: {found.sentences[0]}")
known["poisson"].table.round(3)

# %%
wb.bayes_factors(known).round(3)

# %% [markdown]
# The plug-in prediction $p(y_i \mid \hat\theta)$ forgets that the estimate has an error, the
# integrated one $\int p(y_i \mid \theta) p(\theta \mid y) d\theta$ does not. On the rows that were
# fitted:

# %%
each = draws.datatree["log_likelihood"]["y"].to_numpy().reshape(-1, density.num_observations)
integrated = logsumexp(each, axis=0) - np.log(len(each))
plug_in = np.asarray(density.pointwise_log_likelihood(fit.z)["y"])
apart = pd.Series(integrated - plug_in, name="integrated less plug-in (nats)")
apart.describe()[["mean", "min", "max"]].round(4).to_frame()

# %% [markdown]
# ## Limits
#
# More data, a wider prior, a lower temperature, more draws: each has its own rate, and the rates
# are those of theory. Only the smallest parts of the data, 25 rows for five coefficients, are
# further away than it says, because there terms of higher order count; data simulated beyond the
# 236 rows go on as it says.

# %%
towards = wb.limits(density, mle=fit, nuts=draws, quick=True)
print(*towards.sentences, sep="\n")
_ = plot.limits(towards)

# %% [markdown]
# **Answer.** The derivatives are exact to rounding, and they foretell: one visit of one patient
# moves the drug's effect by 1.3 standard errors, 1.1 of which its score gave without a refit. The
# integrals agree to their own errors; the posterior mean of the ratio lies above the ratio at the
# mean by half the variance, as Jensen says, and the evidence prefers counts that vary more than
# Poisson's by some 200 nats. Likelihood and posterior are a hundredth of a standard error apart:
# what matters here is the model, and not which of the two is asked.

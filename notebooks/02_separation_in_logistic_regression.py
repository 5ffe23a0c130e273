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
# # 2. Logistic regression when the data separate
#
# **Question.** In 79 patients with cancer of the endometrium, three findings are to tell a high
# histological grade from a low one. One finding settles the matter wherever it is present. *What
# is the maximum-likelihood estimate of its effect, what does a program do when asked for it, and
# what does the posterior say instead?*
#
# The data are those of Heinze and Schemper (2002).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from scipy.optimize import minimize

import workbench as wb
from models.logistic import MODEL
from workbench import plot
from workbench.data.catalogue import load_frame
from workbench.model.priors import coefficient_scale

plt.rcParams["figure.dpi"] = 80
frame = load_frame("endometrial")
pd.crosstab(frame["nv"], frame["hg"])

# %% [markdown]
# `nv` tells whether new vessels were seen (1) or not (0), `hg` whether the grade is high. All 13
# patients with new vessels have a high grade: the cell `nv = 1, hg = 0` is empty. The converse
# does not hold, so the separation is called *quasi-complete*.
#
# ## The model
#
# $$
# y_i \sim \mathrm{Bernoulli}(\pi_i), \qquad \log\frac{\pi_i}{1 - \pi_i} = x_i^\top \beta, \qquad
# \beta_j \sim \mathrm{Normal}(0,\ 2.5 / s_{x_j}).
# $$
#
# The patients with `nv = 1` enter the likelihood through factors
# $1 / (1 + e^{-(\dots + \beta_{nv})})$ only, and each of these grows with $\beta_{nv}$, without
# end.
#
# ## The likelihood along the direction of separation
#
# Fix $\beta_{nv}$, maximise over the other coefficients, and look at the height reached: the
# profile of the log-likelihood. Do the same with the log prior added.

# %%
data = wb.load_dataset("endometrial")
density = wb.read_density(MODEL, data)
NV = 1  # position of beta[nv] among intercept, nv, pi, eh


def profile(value, with_prior):
    """Largest log-likelihood (plus log prior) over the other coefficients at a beta[nv]."""
    start = np.array([4.0, -0.04, -2.8])  # near the maximum, for speed
    found = minimize(loss, start, args=(value, with_prior), jac=True)
    return -found.fun


@jax.jit
@jax.value_and_grad
def loss(others, value, with_prior):
    """Minus the objective at all four coefficients."""
    terms = density.log_terms(jnp.insert(others, NV, value))
    return -(terms.log_likelihood + with_prior * terms.log_prior)


grid = np.linspace(0, 20, 41)
likelihood = np.array([profile(v, 0.0) for v in grid])
joint = np.array([profile(v, 1.0) for v in grid])

fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
for height, method, label in (
    (likelihood, "MLE", "log-likelihood"),
    (joint, "MAP", "log-likelihood + log prior"),
):
    ax.plot(grid, height - height.max(), color=plot.METHOD_COLOURS[method], label=label)
ax.set(xlabel="beta[nv]", ylabel="profile, below its top", ylim=(-6, 0.4))
_ = ax.legend(frameon=False)

# %% [markdown]
# The log-likelihood climbs to a plateau and never turns down: it has an upper bound, and no
# maximum. The data say a great deal about how small $\beta_{nv}$ may be and nothing about how
# large. The prior, hardly visible where the likelihood is steep, is all there is on the plateau.
#
# How far an optimiser walks on a plateau depends on when it gives up. The slope at $b$ shrinks like
# $e^{-b}$, and so does the curvature; the "standard error" of a program that does not look is the
# root of its reciprocal.


# %%
@jax.jit
def slope_and_curvature(z):
    """First and second derivatives of the log-likelihood."""

    def height(z):
        return density.log_terms(z).log_likelihood

    return jax.grad(height)(z), -jax.hessian(height)(z)


rows = []
for b in (5.0, 10.0, 15.0, 20.0):
    others = minimize(loss, [4.0, -0.04, -2.8], args=(b, 0.0), jac=True).x
    slope, curvature = slope_and_curvature(jnp.insert(jnp.asarray(others), NV, b))
    naive = np.sqrt(np.linalg.inv(curvature)[NV, NV])
    rows.append((b, float(slope[NV]), naive))
table = pd.DataFrame(rows, columns=["beta[nv]", "slope", "naive standard error"])
table.map(lambda value: f"{value:.2g}").set_index("beta[nv]")

# %% [markdown]
# A program that stops when the slope is below $10^{-4}$ would report an estimate between 11 and 12
# and a standard error of about a hundred; with $10^{-8}$, between 20 and 21, and ten thousand.
# None of these numbers is an estimate.
#
# ## What the workbench says

# %%
comparison = wb.compare(MODEL, data, seed=1)
mle, posterior = comparison.fits["MLE"], comparison.fits["NUTS"]
print(mle.status.value, "\n")
mle.summary().round(3)

# %% [markdown]
# The fit knows that it has no maximum, names the direction, and refuses a standard error for
# `beta[nv]`: the number shown is where the optimiser stood, not an estimate. The other three terms
# keep theirs. For good reason: as $\beta_{nv} \to \infty$ the patients with new vessels are
# predicted perfectly and drop out of the likelihood, and what remains is the ordinary logistic
# regression of the other 66 patients. That can be checked.

# %%
others = wb.Dataset.from_frame(frame[frame["nv"] == 0], formula="hg ~ pi + eh", name="nv = 0")
without = wb.fit_mle(MODEL, others).summary().set_index("term")
columns = ["estimate", "std_error"]
all_rows = mle.summary().set_index("term")
pd.concat({"all": all_rows[columns], "nv = 0 only": without[columns]}, axis=1).round(5)

# %% [markdown]
# ## The posterior
#
# The prior on $\beta_{nv}$ is normal with sd $2.5 / 0.371 = 6.7$. Multiplied by it, the plateau
# becomes a slope, and the posterior is a proper density: steep on the left, where the data speak,
# and falling off like the prior on the right.

# %%
ax = plot.density(comparison, "beta[nv]")

# %%
draws = posterior.term("beta[nv]").ravel()
print("posterior probability that beta[nv] > 0:", np.mean(draws > 0).round(4))
summary = posterior.summary().set_index("term")
summary[["estimate", "std_error", "lower", "upper", "ess_bulk", "r_hat"]].round(3)

# %% [markdown]
# The note `MLE` at the right edge of the picture tells where the optimiser stood. The mode of the
# posterior lies far left of its mean: the density is skewed, and the normal curve drawn around the
# mode (`Laplace`) puts weight on negative effects which the data rule out. Here curvature at the
# top is a bad summary even though a top exists.
#
# The ledger takes the posterior sd as its unit for `beta[nv]`, since there is no standard error,
# and says so.

# %%
columns = ["quantity", "step", "start", "end", "change_in_units", "unit", "reason"]
comparison.ledger.set_index("term").loc["beta[nv]", columns].round(3)

# %% [markdown]
# The first step is long because its start is arbitrary; the two steps after it are real. The
# averaging step, from the mode to the mean, measures the skew.
#
# ## How much is prior?
#
# On a plateau the prior's scale must matter. Multiply it by one half, two and four, and sample
# again.


# %%
def with_prior_scale(factor):
    """Logistic regression with prior sd ``factor`` times the usual one."""

    def fn(x, x_mean, x_scale, y=None):
        unit = coefficient_scale(x_mean, x_scale)
        beta = numpyro.sample("beta", dist.Normal(0, factor * 2.5 * unit).to_event(1))
        numpyro.sample("y", dist.Bernoulli(logits=x @ beta), obs=y)

    return wb.Model(name=f"prior times {factor:g}", fn=fn, dims={"beta": ("coefficient",)})


factors = (0.5, 1.0, 2.0, 4.0)
fits = {f: posterior if f == 1 else wb.fit_nuts(with_prior_scale(f), data, seed=1) for f in factors}
intervals = {f: fit.summary().set_index("term") for f, fit in fits.items()}

fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.0), layout="constrained")
for ax, term in zip(axes, ("beta[nv]", "beta[eh]"), strict=True):
    for f, table in intervals.items():
        row = table.loc[term]
        ax.vlines(np.log2(f), row["lower"], row["upper"], color=plot.METHOD_COLOURS["NUTS"])
        ax.plot(np.log2(f), row["estimate"], "D", color=plot.METHOD_COLOURS["NUTS"])
    ax.axhline(0, color="grey", linewidth=0.8)
    ax.set_xticks(np.log2(factors), ["½", "1", "2", "4"])
    ax.set(title=term, xlabel="prior sd, times the usual", ylabel="posterior mean and 95% interval")

# %%
pd.DataFrame({f: table.loc["beta[nv]"] for f, table in intervals.items()}).loc[
    ["estimate", "lower", "upper"]
].round(2)

# %% [markdown]
# The upper end of the interval for `beta[nv]` and its mean grow with the prior's scale, as far as
# one likes. The lower end moves far less, and stays above zero: that end is the data's. The effect
# of `eh`, where the data do not separate, hardly notices. A report should therefore quote the
# *lower* end, or the probability of a positive effect, and call the upper end an assumption.
#
# ## What it means for a patient
#
# The plug-in prediction for a patient with new vessels and otherwise average findings is certainty.
# Thirteen patients do not justify it.

# %%
patient = pd.DataFrame({"nv": [0, 1], "pi": frame["pi"].mean(), "eh": frame["eh"].mean()})
new = data.new(patient)
chance = {m: comparison.fits[m].predict(new, num=4000).mean for m in ("MLE", "NUTS")}
pd.DataFrame(chance, index=["nv = 0", "nv = 1"]).round(4)

# %%
print(comparison.verdict)

# %% [markdown]
# ## What was learnt
#
# Where one finding predicts the outcome without exception the likelihood has no maximum, and what a
# program prints is its own stopping rule; an honest one names the direction and refuses a standard
# error. The other coefficients keep their estimates, which are those of the patients who are not
# separated. The posterior exists, its lower end speaks for the data and its upper end for the
# prior, and only a change of the prior's scale shows which is which.
#
# **Exercise.** Change one of the 13 patients with `nv = 1` to `hg = 0` and compare again. Is there
# an estimate now, how large is its standard error, and how far does the posterior move?

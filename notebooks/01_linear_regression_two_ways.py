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
# # 1. Linear regression, two ways
#
# **Question.** Ten measurements were taken of 442 people with diabetes; a year later their doctors
# scored how far the disease had advanced. Fit one linear model twice, by maximum likelihood and
# by sampling its posterior. *Where do the two answers differ, by how much, and why?*
#
# The data are those of Efron, Hastie, Johnstone and Tibshirani (2004). A fifth of the rows, drawn
# at random, is set aside to be predicted at the end.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import workbench as wb
from models.linear import MODEL
from workbench import plot

plt.rcParams["figure.dpi"] = 80
data = wb.load_dataset("diabetes")
train, test = data.split(0.8, seed=0)
print(train.num_observations, "rows to fit,", test.num_observations, "rows to predict")

# %% [markdown]
# ## The model
#
# $$
# y_i \sim \mathrm{Normal}(x_i^\top \beta,\ \sigma), \qquad
# \beta_j \sim \mathrm{Normal}(0,\ 2.5\, s_j), \qquad
# \sigma \sim \mathrm{Exponential}(1 / s_y)
# $$
#
# $x_i$ holds a one and the ten measurements. The unit $s_j = s_y / s_{x_j}$ is the sd of the
# response over the sd of the covariate, so the prior says: a change of one sd in one measurement
# is unlikely to move the response by more than a few of its own sds. That is a weak statement.
#
# The joint density of data and parameters falls into two factors,
#
# $$
# \log p(y, \theta) \;=\; \underbrace{\log p(y \mid \theta)}_{\text{log-likelihood}}
#  \;+\; \underbrace{\log p(\theta)}_{\text{log prior}}, \qquad \theta = (\beta, \sigma),
# $$
#
# and the two methods are two uses of it: maximum likelihood climbs the first term alone, the
# posterior is proportional to $p(y, \theta)$ as a whole. One call makes both fits, and two
# posterior modes that we shall need as stepping stones.

# %%
comparison = wb.compare(MODEL, train, held_out=test, seed=1)
mle, posterior = comparison.fits["MLE"], comparison.fits["NUTS"]

pd.DataFrame(
    {
        name: {"log-likelihood": fit.log_terms.log_likelihood, "log prior": fit.log_terms.log_prior}
        for name, fit in comparison.fits.items()
        if name != "NUTS"
    },
    dtype=float,
).round(3)

# %% [markdown]
# `MLE` has the largest log-likelihood, as it must. `MAP` is the highest point of the posterior
# density of $(\beta, \sigma)$; it gives up a little likelihood for a little more prior. `Laplace`
# is the highest point of the posterior density of $(\beta, \log\sigma)$: another density, since a
# change of variables multiplies it by a Jacobian, and so another point.
#
# ## Maximum likelihood is least squares
#
# For this model the maximum has a closed form, so the optimiser can be checked:
#
# $$
# \hat\beta = (X^\top X)^{-1} X^\top y, \qquad
# \hat\sigma^2 = \tfrac1N \lVert y - X\hat\beta \rVert^2, \qquad
# \mathrm{se}(\hat\beta_j) = \hat\sigma \sqrt{[(X^\top X)^{-1}]_{jj}}, \qquad
# \mathrm{se}(\hat\sigma) = \hat\sigma / \sqrt{2N}.
# $$

# %%
X, y = train.inputs["x"], train.observed["y"]
N, P = X.shape
beta = np.linalg.lstsq(X, y, rcond=None)[0]
rss = np.sum((y - X @ beta) ** 2)
sigma = np.sqrt(rss / N)
Q, R = np.linalg.qr(X)  # inverts X'X without squaring its condition number
errors = sigma * np.linalg.norm(np.linalg.inv(R), axis=1)

closed_form = np.append(beta, sigma), np.append(errors, sigma / np.sqrt(2 * N))
by_optimiser = mle.params.to_numpy(), mle.bse.to_numpy()
for k, name in enumerate(("estimates", "standard errors")):
    difference = np.max(np.abs(by_optimiser[k] / closed_form[k] - 1))
    print(f"{name}: largest relative difference {difference:.0e}")

# %% [markdown]
# They agree to rounding. The standard errors come from the curvature of the log-likelihood at its
# top; the formula was not told to the program.
#
# ## The posterior
#
# NUTS draws from $p(\theta \mid y)$. Below, each term is shown in its own unit of doubt: zero is
# the maximum-likelihood estimate, one is its standard error.

# %%
print(posterior.status.value, "| largest R-hat", posterior.estimands["r_hat"].max().round(4))
ax = plot.forest(comparison, methods=["MLE", "NUTS"])

# %% [markdown]
# Ten coefficients and the intercept are the same whichever way one asks: the prior was weak, and
# with 354 rows the likelihood is close to a normal density. One term is not: $\sigma$.
#
# ## The ledger, line by line
#
# The ledger takes the way from the estimate to the posterior mean apart into steps that add up
# exactly.

# %%
columns = ["quantity", "step", "start", "end", "change_in_units", "mc_error_in_units"]
ledger = comparison.ledger.set_index("term")
ledger.loc["sigma", columns].round(3)

# %% [markdown]
# 1. **prior**, from the MLE to the mode of the posterior of $(\beta, \sigma)$. The prior pulls
#    $\sigma$ down by a few hundredths of a standard error. Nothing.
# 2. **coordinates**, to the mode of the posterior of $(\beta, \log\sigma)$. Not information, only
#    the choice of a scale on which to look for the top; it is small too.
# 3. **averaging**, from that mode to the mean. Half a standard error, some forty times the Monte
#    Carlo error in the last column: this is the difference.
# 4. **prior information**, from the standard error to the sd of the normal approximation: none.
# 5. **departure from normality**, on to the posterior sd: about a twentieth of a standard error.
#
# Why does averaging lift $\sigma$? The mode asks for the best $\sigma$ at the best $\beta$. But
# $\beta$ is not known, and every other $\beta$ leaves larger residuals. With flat priors on $\beta$
# and $\log\sigma$ the average is known: $\mathrm{RSS}/\sigma^2 \sim \chi^2_{N-P}$ given the data,
# which divides by the degrees of freedom $N - P$ where maximum likelihood divides by $N$.

# %%
pd.Series(
    {
        "MLE, root of RSS / N": sigma,
        "root of RSS / (N - P)": np.sqrt(rss / (N - P)),
        "mean under flat priors": np.sqrt(rss / (N - P)) * (1 + 0.75 / (N - P)),
        "posterior mean": posterior.estimands.loc["sigma", "estimate"],
    }
).round(2)

# %% [markdown]
# (The third line uses $E(1/\sqrt{\chi^2_\nu}) \approx \nu^{-1/2}(1 + \tfrac{3}{4\nu})$.) So the
# famous correction of the residual variance need not be added by hand: averaging over $\beta$
# makes it.
#
# ## Curvature
#
# The observed information is the curvature of the log-likelihood at its top,
# $I = -\nabla^2 \log p(y \mid \hat\theta)$. Scaled to a unit diagonal, its eigenvalues tell how
# much the data know of each combination of parameters; an eigenvalue near zero is a combination
# along which the likelihood is nearly flat.

# %%
scale = 1 / np.sqrt(np.diag(mle.information))
scaled = mle.information * np.outer(scale, scale)
eigenvalues, vectors = np.linalg.eigh(scaled)
print("condition number", f"{eigenvalues[-1] / eigenvalues[0]:.0f}")

names = [label.removeprefix("beta[").removesuffix("]") for label in mle.z_labels]
fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4), layout="constrained")
left.semilogy(range(1, len(eigenvalues) + 1), eigenvalues, "o", color=plot.METHOD_COLOURS["MLE"])
left.set(xlabel="rank", ylabel="eigenvalue of the scaled information")
right.barh(names, vectors[:, 0] * np.sign(vectors[5, 0]), color=plot.METHOD_COLOURS["MLE"])
right.set(xlabel="weight in the flattest combination")
right.invert_yaxis()

# %% [markdown]
# The flattest combination sets total cholesterol (`tc`) against its parts (`ldl`, `hdl`) and the
# triglycerides (`ltg`), with the intercept making up for their means: the serum values are nearly
# a linear function of one another, so their effects can be traded. In a picture, `tc` against
# `ldl`: each has a wide interval, and yet the pair lies in a thin cigar.

# %%
pair = ["beta[tc]", "beta[ldl]"]
centre, cov = mle.params[pair].to_numpy(), mle.cov_params().loc[pair, pair].to_numpy()
angle = np.linspace(0, 2 * np.pi, 200)
circle = np.sqrt(5.991) * np.array([np.cos(angle), np.sin(angle)])  # 95% of a chi-square, 2 df
ellipse = centre[:, None] + np.linalg.cholesky(cov) @ circle

fig, ax = plt.subplots(figsize=(5.2, 3.8), layout="constrained")
draws = [posterior.term(name).ravel()[::4] for name in pair]
ax.plot(*draws, ".", markersize=2.5, color=plot.METHOD_COLOURS["NUTS"], label="posterior draws")
ax.plot(*ellipse, color=plot.METHOD_COLOURS["MLE"], label="95% confidence ellipse")
ax.set(xlabel=pair[0], ylabel=pair[1])
_ = ax.legend(frameon=False)
print("correlation of the draws:", np.corrcoef(draws)[0, 1].round(3))

# %% [markdown]
# ## Predictions
#
# The plug-in prediction puts $\hat\theta$ into the model and adds noise. The posterior predictive
# density averages over $\theta$, so it also carries the doubt about $\beta$:
# $p(\tilde y) = \int p(\tilde y \mid \theta)\, p(\theta \mid y)\, d\theta$. Both are scored on the
# 88 rows that neither fit has seen.

# %%
scores = comparison.scores[comparison.scores["score"].str.startswith("held-out")]
scores.pivot(index="score", columns="method", values="value").round(3)

# %%
mean_width = {m: np.mean(p.upper - p.lower) for m, p in comparison.held_out.items()}
fig, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for method, p in comparison.held_out.items():
    shift = 0.6 if method == "NUTS" else -0.6
    ax.vlines(p.mean + shift, p.lower, p.upper, color=plot.METHOD_COLOURS[method], alpha=0.5,
              linewidth=1.2, label=f"{method}, mean width {mean_width[method]:.0f}")  # fmt: skip
ax.plot(p.mean, p.observed, "o", color="black", markersize=3, label="held-out rows")
ax.set(xlabel="predicted mean", ylabel="progression, 95% intervals")
_ = ax.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))

# %% [markdown]
# The intervals of the posterior are a little wider, and on new rows that is the better forecast by
# a hair: a slightly higher log score and a coverage slightly nearer to 95%. With 88 rows neither
# difference is beyond chance (the table `comparison.scores` has the standard errors).
#
# ## Verdict

# %%
print(comparison.verdict)
for finding in comparison.findings:
    print(f"\n{finding.severity.value}: {finding.sentence} {finding.advice}")

# %% [markdown]
# ## What was learnt
#
# With many rows per parameter and a weak prior the coefficients of a linear model do not depend
# on which of the two questions one asks. The noise $\sigma$ does: its posterior mean lies half a
# standard error above the estimate, because averaging over eleven unknown coefficients counts the
# degrees of freedom which maximum likelihood ignores. The curvature warns, before any sampling,
# that the effects of the serum measurements are known jointly and not one by one.
#
# **Exercise.** Fit only the first 40 rows (`train.take(range(40))`). Which steps of the ledger
# grow, for which terms, and does the ratio of posterior mean to estimate of $\sigma$ still follow
# $\sqrt{N/(N-P)}$?

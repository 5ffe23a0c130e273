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
# # 3. Shrinkage in the eight schools
#
# **Question.** Eight schools each ran an experiment on coaching for an entrance test, and each
# found an effect with a standard error about as large as itself. *Should one quote eight effects,
# one common effect, or something between, and who decides how much between?*
#
# The data are Rubin's (1981), as retold in Bayesian Data Analysis (Gelman and others, chapter 5).

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

import workbench as wb
from models.eight_schools import MODEL
from workbench import plot
from workbench.fit.objective import Objective

plt.rcParams["figure.dpi"] = 80
data = wb.load_dataset("eight_schools")
schools, y, sigma = data.coords["school"], data.observed["y"], data.inputs["sigma"]
pd.DataFrame({"effect": y, "standard error": sigma}, index=pd.Index(schools, name="school")).T

# %% [markdown]
# ## The model
#
# $$
# y_j \sim \mathrm{Normal}(\theta_j,\ \sigma_j), \qquad \theta_j = \mu + \tau\eta_j, \qquad
# \eta_j \sim \mathrm{Normal}(0, 1), \qquad j = 1, \dots, 8,
# $$
#
# with $\mu \sim \mathrm{Normal}(0, 5)$ and $\tau \sim \mathrm{HalfCauchy}(5)$. The $\sigma_j$ are
# known. $\tau$, the spread of the true effects between schools, decides: $\tau = 0$ is one common
# effect, $\tau = \infty$ is eight unrelated ones.
#
# ## The marginal likelihood
#
# The eight $\eta_j$ are random effects: they have a distribution in the model, and the likelihood
# of $(\mu, \tau)$ is what remains when they are integrated out,
#
# $$
# L(\mu, \tau) = \int p(y \mid \mu, \tau, \eta)\, p(\eta)\, d\eta
#  = \prod_{j} \mathrm{Normal}\big(y_j \mid \mu,\ \sqrt{\sigma_j^2 + \tau^2}\big).
# $$
#
# The library makes the integral by Laplace's method, which is exact for a normal integrand. Its
# profile, the highest value over $\mu$ at each $\tau$, beside the closed form:

# %%
density = wb.read_density(MODEL, data)
log_likelihood = Objective(density=density, method="MLE")  # of (mu, log tau), effects integrated


def best_mu(tau, prior_precision=0.0):
    """The mu that maximises L (times a normal prior around 0) at each tau."""
    weight = 1 / (sigma**2 + np.square(tau)[..., None])
    return (weight * y).sum(-1) / (weight.sum(-1) + prior_precision)


tau = np.linspace(0.01, 30, 120)
points = np.stack([best_mu(tau), np.log(tau)], axis=-1)
height = jax.vmap(log_likelihood)(jnp.asarray(points))
some = tau[::8]
exact = stats.norm.logpdf(y, best_mu(some)[:, None], np.hypot(sigma, some[:, None])).sum(-1)

fig, ax = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
ax.plot(tau, height, color=plot.METHOD_COLOURS["MLE"], label="library, integral by Laplace")
ax.plot(some, exact, "o", color="black", markersize=3.5, label="closed form")
ax.set(xlabel="tau (points)", ylabel="profile of the marginal log-likelihood")
ax.legend(frameon=False)
ratio = np.exp(float(height[np.searchsorted(tau, 10)] - height[0]))
print("largest difference from the closed form:", f"{np.abs(exact - height[::8]).max():.0e}")
print("likelihood of tau = 10 relative to tau = 0:", round(ratio, 2))

# %% [markdown]
# The likelihood is highest at the border $\tau = 0$, and falls slowly: a spread of 10 points, more
# than the common effect, has still a good fraction of the highest likelihood. So the estimate is
# "no difference at all between schools", and the likelihood itself says that this is not to be
# believed to the letter.
#
# ## The maximum at the border

# %%
comparison = wb.compare(MODEL, data, seed=1)
mle, posterior = comparison.fits["MLE"], comparison.fits["NUTS"]
print(mle.status.value, "\n")
mle.summary().set_index("term").loc[["mu", "tau", "theta[A]", "theta[C]", "theta[H]"]].round(4)

# %% [markdown]
# The estimate of $\tau$ is zero but for rounding, and no standard error is given: the theory of
# standard errors wants a maximum in the interior with a slope of zero, and here the maximum stands
# at a wall. With $\tau = 0$ every school has the same estimated effect, $\hat\mu$, the mean
# weighted by $1/\sigma_j^2$:

# %%
print("weighted mean:", round(float(best_mu(np.array(0.0))), 4))

# %% [markdown]
# ## One posterior, two modes
#
# Now multiply by the prior. The highest point of the posterior density depends on the coordinates
# in which the density is written: that of $(\mu, \log\tau)$ is that of $(\mu, \tau)$ times the
# Jacobian $\tau$, which kills the border. The probability of any region is the same in both.

# %%
MU, TAU = np.meshgrid(np.linspace(-6, 15, 85), np.geomspace(0.02, 30, 120))
on_grid = jnp.asarray(np.stack([MU, np.log(TAU)], axis=-1).reshape(-1, 2))
fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.6), layout="constrained")
for ax, method in zip(axes, ("MAP", "Laplace"), strict=True):
    value = jax.vmap(Objective(density=density, method=method))(on_grid).reshape(MU.shape)
    mode = comparison.fits[method].values
    levels = float(value.max()) - np.array([4.0, 3.0, 2.0, 1.0, 0.3])
    ax.contour(MU, TAU, value, levels=levels, colors=plot.METHOD_COLOURS[method],
               linestyles="solid")  # fmt: skip
    ax.plot(posterior.term("mu").ravel()[::8], posterior.term("tau").ravel()[::8], ".",
            color=plot.METHOD_COLOURS["NUTS"], markersize=2, alpha=0.6)  # fmt: skip
    ax.plot(mode["mu"], max(float(mode["tau"]), 0.02), "k^", markersize=8, clip_on=False)
    ax.set(xlabel="mu", ylabel="tau", xlim=(-6, 15))
axes[0].set(ylim=(0, 20), title="density of (mu, tau): mode at tau = 0")
_ = axes[1].set(yscale="log", ylim=(0.05, 30), title="density of (mu, log tau)")

# %%
modes = {m: comparison.fits[m].values for m in ("MLE", "MAP", "Laplace")}
table = pd.DataFrame({m: {s: float(v[s]) for s in ("mu", "tau")} for m, v in modes.items()})
table["posterior mean"] = posterior.estimands["estimate"]
table.round(3)

# %% [markdown]
# The triangles are the modes, the dots draws from the posterior, the same draws on both sides. The
# mode on the left lies on the edge of the draws, the one on the right happens to lie near their
# mean. Neither is "the" most probable value of $\tau$: there is none.
#
# ## Shrinkage
#
# Given $\tau$ and $\mu$ the effect of a school is a weighted mean of its own result and the common
# one,
#
# $$
# E(\theta_j \mid \mu, \tau, y) = (1 - B_j)\, y_j + B_j\, \mu, \qquad
# B_j = \frac{\sigma_j^2}{\sigma_j^2 + \tau^2} .
# $$
#
# $B_j$ is the shrinkage. On the left it is followed from one common effect to eight separate ones,
# with the posterior of $\tau$ below; on the right is what the three answers make of each school.

# %%
mu_given_tau = best_mu(tau, prior_precision=1 / 25)  # posterior mean of mu given tau
B = sigma**2 / (sigma**2 + tau[:, None] ** 2)
theta_given_tau = (1 - B) * y + B * mu_given_tau[:, None]

fig, (left, right) = plt.subplots(1, 2, figsize=(9.4, 4.0), layout="constrained")
left.plot(tau, theta_given_tau, color="#6B6B6B", linewidth=1)
for j, school in enumerate(schools):
    left.text(30.3, theta_given_tau[-1, j], school, va="center", fontsize=8)
counts, edges = np.histogram(posterior.term("tau"), bins=60, range=(0, 30))
left.stairs(7 * counts / counts.max() - 10, edges, baseline=-10, fill=True, alpha=0.4,
            color=plot.METHOD_COLOURS["NUTS"], label="posterior of tau")  # fmt: skip
left.legend(frameon=False, loc="upper left")
left.set(xlabel="tau", ylabel="mean effect given tau", xlim=(0, 32), ylim=(-10, 28))

summary = posterior.summary().set_index("term").loc[[f"theta[{s}]" for s in schools]]
rows = np.arange(8)
right.hlines(rows, summary["lower"], summary["upper"], color=plot.METHOD_COLOURS["NUTS"])
right.plot(summary["estimate"], rows, "D", color=plot.METHOD_COLOURS["NUTS"], label="posterior")
right.plot(y, rows, "o", color="black", markerfacecolor="white", label="own result")
right.axvline(mle.params["mu"], color=plot.METHOD_COLOURS["MLE"], label="MLE, all schools")
right.set_yticks(rows, schools)
right.set(xlabel="effect of coaching (points)", ylim=(7.5, -1.6))
_ = right.legend(frameon=False, ncols=3, loc="upper right", fontsize=8)

# %% [markdown]
# Maximum likelihood shrinks completely, because it puts one value of $\tau$, zero, into the
# formula. The posterior averages the shrinkage over all $\tau$ that the data allow. School A, with
# the highest result, is brought down from 28 to about 6, and its interval still reaches almost 20:
# *probably* ordinary, *possibly* remarkable.
#
# ## The ledger
#
# Nothing here has a standard error of the MLE, so the unit of every line is the posterior sd.

# %%
ax = plot.ledger(comparison, ["mu", "tau", "theta"])

# %%
columns = ["step", "start", "end", "change", "unit", "change_in_units", "mc_error_in_units"]
location = comparison.ledger.query("quantity == 'location'").set_index("term")
location.loc[["mu", "tau", "theta[A]"], columns].round(3)

# %% [markdown]
# - `mu`: the whole way is the **prior**. $\mathrm{Normal}(0, 5)$ is not weak beside a weighted mean
#   of 7.7 with an error of about 4; it pulls by nearly one posterior sd.
# - `tau`: the prior does nothing (its density, too, is highest at zero); the way is in the
#   **coordinates**. More than one posterior sd lies between two modes of the same posterior, which
#   is a good reason never to quote a mode of a scale.
# - `theta[A]`: down by the pull on $\mu$, up again because a positive $\tau$ lets the school keep
#   some of its own result.
#
# ## Verdict

# %%
print(comparison.verdict)
for finding in comparison.findings:
    print(f"\n{finding.severity.value}: {finding.sentence}")

# %% [markdown]
# ## What was learnt
#
# With eight groups the likelihood of a spread is often highest at zero, which means "cannot be
# told from zero" and not "is zero"; a standard error does not exist there, and the program should
# not print one. A posterior mode depends on the coordinates, and for a scale the two natural
# choices may lie a posterior sd apart, so that means and intervals are what to quote. Averaging
# over the spread gives each school an effect between its own and the common one, with an interval
# that admits how little eight experiments can say.
#
# **Exercise.** Replace the prior of $\mu$ by $\mathrm{Normal}(0, 50)$ and that of $\tau$ by
# $\mathrm{HalfNormal}(5)$ (a copy of `models/eight_schools.py` is quickly changed). Which lines of
# the ledger vanish, and does the effect of school A change by as much as you expected?

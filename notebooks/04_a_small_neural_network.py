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
# # 4. A small neural network
#
# **Question.** The flow of the Nile at Aswan fell around 1898, within a few years. A straight line
# cannot follow that; a network with four hidden units can. It has 13 weights. *What do the two
# methods say about the weights, and what about the curve?*
#
# The data are Cobb's (1978): one flow for each of the hundred years from 1871.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import workbench as wb
import workbench.az as az
from models.mlp_regression import MODEL
from workbench import plot
from workbench.model.network import perceptron

plt.rcParams["figure.dpi"] = 80
BLUE = plot.METHOD_COLOURS["NUTS"]
data = wb.load_dataset("nile")
train, test = data.split(0.8, seed=0)
year, flow = train.inputs["x"][:, 1], train.observed["y"]

# %% [markdown]
# ## The model
#
# With year and flow standardised to $\tilde x$ and $\tilde y$,
#
# $$
# \tilde y_i \sim \mathrm{Normal}\big(f(\tilde x_i),\ \sigma / s_y\big), \qquad
# f(\tilde x) = b_2 + \sum_{h=1}^{4} W_{2h} \tanh(b_{1h} + W_{1h}\, \tilde x),
# $$
#
# with normal priors, $W_{1h}, b_{1h}, b_2 \sim \mathrm{Normal}(0, 2)$ and
# $W_{2h} \sim \mathrm{Normal}(0, 2/\sqrt4)$, after Neal (1996). What curves does such a prior hold
# possible? Forty of them, before any data:

# %%
mle = wb.fit_mle(MODEL, train, seed=2, num_starts=32)
comparison = wb.compare(MODEL, train, held_out=test, seed=1, fits={"MLE": mle})
posterior = comparison.fits["NUTS"]

years = np.linspace(1871, 1970, 300)
standardised = (years - train.inputs["x_mean"][1]) / train.inputs["x_scale"][1]


@jax.jit
@jax.vmap
def network(weights):
    """The curve f, in 10⁸ m³, at the years of the grid."""
    f = perceptron(weights, jnp.asarray(standardised)[:, None], "tanh")[:, 0]
    return train.inputs["y_mean"] + train.inputs["y_scale"] * f


def curves(group, every):
    """Curves of the draws in a group of the tree (posterior or prior)."""
    flat = {k: v.to_numpy().reshape(-1, *v.shape[2:]) for k, v in group.data_vars.items()}
    return network({k: v[::every] for k, v in flat.items() if k[0] in "Wb"})


fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
prior_curves = curves(posterior.datatree["prior"], every=25)
ax.plot(years, prior_curves.T, color=plot.METHOD_COLOURS["prior"], linewidth=0.7, alpha=0.8)
ax.plot(year, flow, "o", color="black", markersize=3)
_ = ax.set(xlabel="year", ylabel="flow (10⁸ m³)", ylim=(0, 2000), title="the prior, and the data")

# %% [markdown]
# Gentle slopes and bends for the most part, now and then a sharp one, of about the size of the
# data's spread and some far beyond: a wide choice, made without looking at
# the flow itself (only at its mean and sd).
#
# ## Weights are labels, not quantities
#
# Exchange two hidden units, and the sum is the same. Change the sign of a unit's $W_{1h}$ and
# $b_{1h}$, and that of its $W_{2h}$: since $\tanh(-a) = -\tanh(a)$, the sum is the same again.
# There are $4! \cdot 2^4 = 384$ ways, so every weight vector has 383 twins of equal likelihood
# and equal prior density. One of them:

# %%
density = wb.read_density(MODEL, train)
layout = {latent.name: slice(latent.start, latent.stop) for latent in density.latents}
rng = np.random.default_rng(0)
z = rng.normal(size=density.size)
order, sign = np.array([2, 0, 3, 1]), np.array([1, -1, -1, 1])
twin = z.copy()
for name in ("W1", "b1", "W2"):
    twin[layout[name]] = sign * z[layout[name]][order]
pd.DataFrame(
    {k: density.log_terms(jnp.asarray(v))._asdict() for k, v in {"one": z, "twin": twin}.items()},
    dtype=float,
).loc[["log_likelihood", "log_prior"]]

# %% [markdown]
# So the posterior of the weights is 384 copies of the same hill, some of them grown together. A
# chain has to walk between the copies, the curve stays the same meanwhile. Two diagnostics tell:
# R-hat (do the chains agree? 1 is best) and the effective sample size (how many independent draws
# are 4000 worth?), for the 13 weights and for the curve at ten years.

# %%
draws = posterior.datatree["posterior"].dataset[["W1", "b1", "W2", "b2"]]
weights = {"R-hat": az.rhat(draws), "effective sample size": az.ess(draws)}
of_curve = posterior.estimands.filter(like="f(", axis=0)

fig, axes = plt.subplots(1, 2, figsize=(9.0, 1.9), layout="constrained")
for ax, (name, column) in zip(axes, zip(weights, ("r_hat", "ess_bulk"), strict=True), strict=True):
    of_weights = np.concatenate([np.ravel(v) for v in weights[name].data_vars.values()])
    for row, values in enumerate((of_weights, of_curve[column].to_numpy())):
        ax.plot(values, np.full(values.size, row), "o", alpha=0.6, color=BLUE)
    ax.set_yticks([0, 1], ["weights", "curve"])
    ax.set(xlabel=name, ylim=(-0.6, 1.6))

# %% [markdown]
# The weights are known with less precision from the same draws; with more units, or more data and
# so steeper hills, the gap widens until the chains no longer meet. But even with perfect mixing the
# weights would be the wrong thing to look at. Average them, and put the averages into the network:

# %%
mean_weights = {k: v.mean(axis=(0, 1))[None] for k, v in posterior.samples.items() if k[0] in "Wb"}
posterior_curves = curves(posterior.datatree["posterior"], every=4)

fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
ax.plot(years, posterior_curves[::25].T, color=BLUE, linewidth=0.5, alpha=0.5)
ax.plot(years, posterior_curves.mean(axis=0), color=BLUE, linewidth=2.5, label="mean of the curves")
ax.plot(years, network(mean_weights)[0], "--", color="black", label="curve of the mean weights")
ax.plot(year, flow, "o", color="black", markersize=3)
ax.set(xlabel="year", ylabel="flow (10⁸ m³)")
_ = ax.legend(frameon=False)

# %% [markdown]
# By symmetry the mean of every $W_{1h}$, $b_{1h}$ and $W_{2h}$ is zero but for sampling error, and
# its curve is nearly flat: the average of the twins is like none of them. The mean of the curves is
# a sensible answer. So the workbench reports the function of a network, at ten years, and
# $\sigma$; its tables have no rows for weights.

# %%
comparison.table.pivot(index="term", columns="method", values="estimate")[["MLE", "NUTS"]].round(0)

# %% [markdown]
# ## What maximum likelihood does
#
# The optimiser set out from 32 points. Those that broke off far below the others are left out of
# the table.

# %%
starts = mle.starts
ended = starts.log_objective > starts.log_objective.max() - 50
found = jax.vmap(density.constrain)(jnp.asarray(starts.z[ended]))
table = pd.DataFrame(
    {
        "log-likelihood": starts.log_objective[ended].round(2),
        "largest |W1|": np.abs(found["W1"]).max(axis=(1, 2)),
        "sigma": found["sigma"].round(1),
    },
    index=pd.Index(np.flatnonzero(ended), name="start"),
).sort_values("log-likelihood", ascending=False)
table["largest |W1|"] = table["largest |W1|"].map(lambda value: f"{value:.1e}")
print(len(table), "of 32 starts; the best fit is", mle.status.value)
table.iloc[[0, 1, 2, 3, 4, -1]]

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
every = pd.DataFrame(network({k: found[k] for k in mean_weights}), index=np.flatnonzero(ended))
best = table.index[0]
for start in table.index[[0, 1, 2, -1]]:
    ax.plot(years, every.loc[start], linewidth=1.5, label=f"start {start}")
ax.plot(year, flow, "o", color="black", markersize=3)
ax.set(xlabel="year", ylabel="flow (10⁸ m³)", ylim=(400, 1450))
print(f"highest point of the best curve, between two observed years: {every.loc[best].max():.0f}")
_ = ax.legend(frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0, 1))

# %% [markdown]
# - Start 0 has all weights zero. There all units are alike and the gradient of each vanishes by
#   symmetry, so it ends as a horizontal line.
# - The others end at different curves and different heights. Another seed may find a higher place
#   yet, and nobody knows which is the highest.
# - Weights run away. A $\tanh$ with a huge slope is a step, a step between two neighbouring years
#   fits as well as any steeper one, and so there is a height that is approached but never reached.
#   Once a unit is a step, its weights no longer change anything: the likelihood is flat in them.
# - Units cost nothing, so the good fits spend all four, on a few odd years if need be. Between
#   two observed years nothing holds the curve: the best fit shoots out of the picture there.
#
# The status of the best fit says as much. Which sentence it is depends on how far the weights had
# run when the optimiser gave up.
#
# ## Two curves, two bands

# %%
ax = plot.curve(comparison)

# %% [markdown]
# The band of the posterior (blue) holds the noise and the doubt about the curve, and is wide where
# the fall could have begun earlier or later. The dotted lines of maximum likelihood hold the noise
# only, about one curve with its steps in fixed places. Which is the better forecast? The 20 years
# that were set aside tell:

# %%
keep = comparison.scores["score"].str.contains("log score|RMSE|coverage")
scores = comparison.scores[keep].pivot(index="score", columns="method", values="value")
scores.loc[sorted(scores.index, reverse=True)].round(3)

# %%
gain = comparison.held_out["MLE"].log_score - comparison.held_out["NUTS"].log_score
error = gain.std(ddof=1) / np.sqrt(gain.size)
print(f"held-out log score, MLE less NUTS: {gain.mean():.2f} per year (error {error:.2f})")

# %% [markdown]
# At the years it was fitted to, maximum likelihood has the better log score, as it must. But it is
# not behind at the years it has not seen, rather ahead, though by no more than chance allows with
# 20 of them: not what a warning against overfitting would lead one to expect. The fall of the Nile
# was abrupt, and a step is the right shape for it; the prior thinks a gentle slope more likely, and
# the data do not quite overrule it (in the table above, look at the posterior's curve in 1904). A
# posterior is only as good as its prior, and this one can be improved: see the exercise.
#
# ## Verdict

# %%
print(comparison.verdict)
for finding in comparison.findings:
    print(f"\n{finding.severity.value}: {finding.sentence}")

# %% [markdown]
# ## What was learnt
#
# The weights of a network are labels which can be exchanged, so neither an estimate nor a posterior
# mean of a weight means anything; the curve does, and it is what to check, to report and to
# compare. Maximum likelihood has no maximum here, different starts end at different step
# functions, and standard errors computed at one of them leave out the choice of the steps. The
# posterior averages over steps, slopes and their places, and so turns the same model into a smooth
# curve with a band that holds this doubt; how abrupt a fall it takes for likely is up to the prior.
#
# **Exercise.** Build the network with `mlp_regression(hidden=(4,), prior_scale=0.5)` and with
# `prior_scale=8`, draw the prior curves and the posterior curves of each, and compare their scores
# at the held-out years. Which of the two comes closer to maximum likelihood, and why?

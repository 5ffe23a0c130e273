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
# # 9. Five ways to fit a network
#
# **Question.** In 1857 Ernst Engel asked what Belgian households spent on food, given their
# income. Of 235 households few are rich. A network is fitted by maximum likelihood, as an
# ensemble, by Laplace's approximation and by NUTS. *What does each say about the households it
# has seen, about the few rich ones, and about incomes that nobody had? And how could one tell who
# is right?*

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import workbench as wb
from models.mlp_regression import mlp_regression
from workbench import network as nets
from workbench import plot

plt.rcParams["figure.dpi"] = 72
data = wb.load_dataset("engel")
model = mlp_regression(hidden=(5,), prior_scale=1.0)
net = nets.read_network(model, data)
income, food = data.inputs["x"][:, 1], data.observed["y"]
grid = np.linspace(0.0, 7000.0, 160)
rows = {"x": np.column_stack([np.ones_like(grid), grid])}
axes_names = {"label": data.axis_label("income"), "response": data.axis_label("y")}

# %% [markdown]
# ## What the prior holds possible
#
# Five `tanh` units, 16 weights, normal priors scaled by fan-in (Neal 1996). Before a row is seen:

# %%
drawn = nets.prior_outputs(net, rows, num=400)[..., 0]
_ = plot.prior_functions(drawn, grid, observed=(income, food), **axes_names)

# %% [markdown]
# ## Copies
#
# Exchange two units, or change all signs of one, and the function stays. The workbench does not
# trust the architecture's word for it, but tries:

# %%
group = nets.find_symmetry(net)
print(f"{group.order} copies of every point: 5! orders and 2^5 signs")
posterior = nets.fit_network_nuts(net, num_warmup=600, num_samples=600, seed=1)
posterior.mixing.table.round(3)

# %% [markdown]
# R-hat compares four chains (1: they agree) and the effective sample size counts what 2400 draws
# are worth. By the weights that is little: the chains wander slowly between copies of one hill.
# Brought to one order and sign of the units the same draws are worth several times as much, and
# about the *function* all is well. Only that is a statement about predictions, and permuting one
# chain's units would change the first row alone.
#
# ## Four bands

# %%
mle = nets.by_mode(model, penalised=False, num_starts=8)(data, 0)
mode = nets.by_mode(model, penalised=True, num_starts=8)(data, 0)
ensemble = nets.train_network(net, num_members=5, num_epochs=300)
laplace = nets.fit_network_laplace(net, precision="layer")
bands = {
    "MLE": mle.predict(rows),
    "ensemble": ensemble.predict(rows),
    "Laplace": laplace.predict(rows),
    "NUTS": posterior.predict(rows),
}
_ = plot.network_bands(bands, grid, observed=(income, food), **axes_names)

# %% [markdown]
# Where households are many, the four agree. Above 3000 there is one household, above 5000 none.
# Maximum likelihood has one function and one noise: its band is as wide at 7000 as at 700, and it
# spends its units on steps. The members of the ensemble hardly part. Laplace's band and that of
# NUTS hold what the data leave open, and widen.

# %%
pd.DataFrame({m: p.sd[[20, 100, 159]] for m, p in bands.items()},
             index=pd.Index(grid[[20, 100, 159]].round(), name="income")).round(0)  # fmt: skip

# %% [markdown]
# ## The ground that they walk on
#
# The loss about the posterior mode, through its stiffest and its flattest directions, and the
# curvature in each direction:

# %%
surface = nets.loss_surface(net, mode.modes[0], nets.other_mode(net, mode.modes))
_ = plot.loss_plane(surface)

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
plot.hessian_spectrum(surface, ax=axes[0])
if not surface.line.empty:
    plot.loss_line(surface, ax=axes[1])
print(f"the data decide {surface.num_decided} of {len(surface.eigenvalues)} directions")

# %% [markdown]
# The directions below the pink line are held by the prior alone: moving along them changes no
# prediction at the data. That is why weights have no estimates, why maximum likelihood finds no end
# to its climb, and why an approximation by one normal can still be good for the *function*. The
# right picture walks on a straight line from the best mode to another one. What is left of the hill
# when units are matched would lie between functions, the rest is mere order of the units: here
# nothing is left, and the two modes are copies of one function.
#
# ## How many units, and which noise?
#
# The evidence is the probability of the data under the whole model: fit less what the prior wasted
# on functions that do not fit. Rich households also differ more among themselves; with
# `noise="input"` the network says how much.

# %%
train, test = data.split(0.8, seed=0)
y_test = test.observed["y"]
found = []
for kind in ("constant", "input"):
    for hidden in ((), (2,), (8,)):
        fit = nets.fit_network_laplace(
            mlp_regression(hidden=hidden, prior_scale=1.0, noise=kind), train, precision="layer"
        )
        found.append(
            {"noise": kind, "units": sum(hidden), "log evidence": fit.log_evidence,
             "effective weights": fit.num_effective, "settled": fit.converged,
             "test log score": nets.scores(fit.predict(test), y_test)["log_score"]}
        )  # fmt: skip
pd.DataFrame(found).set_index(["noise", "units"]).round(2)

# %% [markdown]
# With constant noise two hidden units win 26 nats. With noise that depends on income a line does
# better still, by 24 more, and units win nothing beside it: Engel's law is almost a line in money.
# Units beyond need do no harm either, the evidence turns them off (the effective number of weights
# stays small). It saw the training rows alone, and it parts the two kinds of noise as the rows held
# out do.
#
# ## Temperature
#
# A posterior with the likelihood to the power 1/T: cold (T below 1) it closes on the mode, warm it
# spreads. Where model and prior are right, T = 1 should predict about best.

# %%
small = mlp_regression(hidden=(2,), prior_scale=1.0, noise="input")
short = {"num_warmup": 300, "num_samples": 300, "num_chains": 2, "seed": 0}
lines = []
for temperature in (0.1, 1.0, 10.0):
    fit = wb.fit_nuts(nets.tempered(small, temperature), train, **short)
    draws = fit.draws(jax.random.key(0), 300)
    tempered_net = nets.read_network(small, train)
    predict = lambda d: nets.prediction.mixture_of_outputs(  # noqa: E731
        "Normal",
        tempered_net.outputs_of_draws(draws, tempered_net.rows_of(d)),  # noqa: B023
    )
    lines.append({"T": temperature, **nets.scores(predict(test), y_test)[["log_score", "crps"]],
                  "sd at 7000": predict(rows).sd[-1]})  # fmt: skip
pd.DataFrame(lines).set_index("T").round(3)

# %% [markdown]
# ## A fair comparison
#
# One split is luck. On the same five splits, each method against the first, with the standard
# error of the paired difference; and what each costs.

# %%
contest = nets.hold_contest(
    {
        "Laplace": nets.by_laplace(model, precision="layer"),
        "MLE": nets.by_mode(model, penalised=False),
        "ensemble": nets.by_training(model, num_members=5, num_epochs=200),
        "Laplace, input noise": nets.by_laplace(small, precision="layer"),
    },
    [data.split(0.8, seed=s) for s in range(5)],
)
print(contest.by_split.pivot(index="split", columns="method", values="log_score").round(2))
table = contest.table.unstack("score")
pd.DataFrame(
    {
        "log score": table["mean", "log_score"],
        "less Laplace": table["difference", "log_score"],
        "error": table["paired_se", "log_score"],
        "CRPS": table["mean", "crps"],
        "95 % covers": table["mean", "coverage_95"],
        "width": table["mean", "width_95"],
    }
).loc[list(contest.answers)].round(3)

# %% [markdown]
# Maximum likelihood has no end to its climb. On one of the splits it was as sure as anywhere of
# something far from what was spent, and lost ten nats a row there: the mean over splits and its
# error are of that split's making, and no difference can be told by such a mean. Its CRPS, which
# counts money and not nats, is a sixth larger than the others'.
#
# ## In words

# %%
for name, answer in contest.answers.items():  # of the first split
    for finding in nets.diagnose_network(answer, train, test):
        print(f"{name}, {finding.code}: {finding.sentence}\n  {finding.advice}")

# %% [markdown]
# ## What was learnt
#
# Weights are labels: judge chains by the function. Methods differ little where there are data and
# much where there are none, so look there. The larger gain came from the model (noise that grows
# with income), not from the method: the evidence saw it from the training rows, and five splits
# with paired errors confirm it. `workbench study methods MODEL --data NAME` does the whole
# comparison in one command.
#
# **Exercise.** Give the network a prior scale of 4 and look at the prior functions, the bands at
# 7000 and the evidence again. Which of them warns first?

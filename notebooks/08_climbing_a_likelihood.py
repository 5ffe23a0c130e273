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
# # 8. Climbing a likelihood, with and without a penalty
#
# **Question.** Training is optimisation. *What does the surface that is climbed look like, how fast
# does each method climb it, and what does a penalty, or stopping early, do to the place where it
# ends?*
#
# The data are 21 days of a plant that makes nitric acid: how much ammonia is lost, given the flow
# of air, the temperature of the water and the concentration of the acid.

# %%
import matplotlib.pyplot as plt
import pandas as pd

import workbench as wb
from models.linear import MODEL
from workbench import plot

plt.rcParams["figure.dpi"] = 80
data = wb.load_dataset("stackloss")
density = wb.read_density(MODEL, data)
fit = wb.fit_mle(density)

# %% [markdown]
# ## Maximum likelihood: the surface and its path
#
# Over the two coefficients that are most correlated, the likelihood is a long ridge. The profile
# has every other parameter at its best; the slice holds them where they are, and makes the two look
# more certain than they are. The path is that of L-BFGS from the start of the fit.

# %%
ridge = wb.surface(density, mle=fit)
print(*ridge.sentences, sep="\n")
_ = plot.surface(ridge)

# %% [markdown]
# ## Gradient descent and momentum
#
# Six methods from one start, three standard errors away. On a quadratic with condition number
# $\kappa$, gradient descent keeps the share $(\kappa - 1)/(\kappa + 1)$ of its distance at each
# step, the best momentum $(\sqrt\kappa - 1)/(\sqrt\kappa + 1)$. The leapfrog of NUTS is momentum
# without friction, kicked at random: it does not arrive, it samples.

# %%
race = wb.optimisers(density, fit=fit)
print(*race.sentences, sep="\n")
plot.optimisers(race)
race.table.drop(columns="reason").round(5)

# %% [markdown]
# The condition number is a property of the coordinates, not of the data. With covariates centred
# and scaled the same likelihood is nearly round. (Momentum's best step is for the curvature at the
# maximum; in the coordinates as measured the start has more, and it diverges.)

# %%
frame = pd.DataFrame(data.inputs["x"][:, 1:], columns=["air", "water", "acid"])
frame = ((frame - frame.mean()) / frame.std()).assign(loss=data.observed["y"])
scaled = wb.Dataset.from_frame(frame, formula="loss ~ air + water + acid", name="scaled")
round_race = wb.optimisers(MODEL, scaled)
pd.DataFrame(
    {
        "condition number": [race.condition_number, round_race.condition_number],
        **{
            m: [r.table.loc[m, "iterations"] for r in (race, round_race)]
            for m in ("gradient descent", "momentum", "Newton")
        },
    },
    index=["as measured", "centred and scaled"],
).round(1)

# %% [markdown]
# ## Regularisation: ridge, lasso, early stopping
#
# A normal prior of sd $\tau$ is the ridge penalty $\lambda = \sigma^2 / \tau^2$ on the squares,
# a Laplace prior of the same sd the lasso, whose coefficients are exactly zero until the data pull
# hard enough. The posterior mean (dotted) follows the mode of the ridge, furthest from it for
# sigma, whose posterior is skewed. Gradient descent stopped after $t$ steps of size $\eta$ is
# nearly ridge at $\tau^2 = \eta t$, with no penalty written anywhere. Three scores say which width
# they would have chosen, and how sharply.

# %%
standard = wb.read_density(MODEL, scaled)
path = wb.penalties(standard, nuts=wb.fit_nuts(standard, seed=1))
print(*path.sentences, sep="\n")
_ = plot.penalties(path)

# %%
path.table.loc[path.picks.unique()].drop(columns="reason").round(4)

# %%
path.stopping.iloc[::3].round(3)

# %% [markdown]
# How far would the posterior move if the prior, or the likelihood, counted a little more? By
# power-scaling, without a refit:

# %%
path.sensitivity.round(3)

# %% [markdown]
# **Answer.** In the coordinates as measured the surface is a ridge with a condition number of
# 2,500, and gradient descent takes 4,765 steps along it; centred and scaled it takes 21. Newton's
# method takes 3 in both. As the prior narrows the lasso drops the acid first, whose coefficient
# ridge merely turns round. Both kinds of cross-validation would have the prior ten times as narrow
# as it is or more, the evidence five times; the posterior itself hardly depends on it.

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
# # 5. The directions of a regression
#
# **Question.** Linear algebra turns a fit into directions: combinations of parameters that the
# data determine one by one. *Which of them do the data decide, which the prior, and what does that
# do to the estimate and to the optimiser?*
#
# The data are those of notebook 2: 32 students, of whom some improved in an economics course.

# %%
import matplotlib.pyplot as plt
import numpy as np

import workbench as wb
from models.logistic import MODEL
from workbench import plot

plt.rcParams["figure.dpi"] = 80
data = wb.load_dataset("spector")
density = wb.read_density(MODEL, data)

# %% [markdown]
# ## Eigenvalues: likelihood against prior
#
# At the posterior mode the curvature of the log posterior is a sum, $H = H_y + H_\pi$. The
# generalised eigenvectors $H_y v = s H v$ are uncorrelated directions of the posterior, and $s$ is
# the data's share of the curvature along each.

# %%
shares = wb.spectrum(density, quick=True)
print(*shares.sentences, sep="\n")
plot.spectrum(shares)
shares.table

# %% [markdown]
# The sum of the shares is the effective number of parameters, the trace of $H^{-1} H_y$. The same
# eigenvalues give every standard error: the variance of a coordinate is
# $\sum_k Q_{ik}^2 / \lambda_k$.

# %%
print("sum of shares:", round(shares.table["data_share"].sum(), 4))
shares.standard_errors

# %% [markdown]
# ## A narrower prior
#
# In ridge regression a direction with singular value $d$ is shrunk by $d^2 / (d^2 + \lambda)$,
# $\lambda = \sigma^2 / \tau^2$. In any model the width of the prior does the same, direction by
# direction; two scores say which width they would have chosen.

# %%
path = wb.penalties(density, quick=True)
print(*path.sentences, sep="\n")
plot.penalties(path)
path.table[["tau", "lambda", "effective_parameters", "log_evidence", "elpd_loo"]].round(3)

# %% [markdown]
# ## The same eigenvalues, and gradient descent
#
# The condition number $\kappa$, largest over smallest eigenvalue, is also the price of the
# gradient's ignorance of the other directions: gradient descent keeps a share
# $(\kappa - 1)/(\kappa + 1)$ of its distance at each step, the best momentum
# $(\sqrt\kappa - 1)/(\sqrt\kappa + 1)$. Newton's method knows them all.

# %%
race = wb.optimisers(density, quick=True)
print(*race.sentences, sep="\n")
plot.optimisers(race)
race.table[["iterations", "gradients", "rate", "predicted"]].round(4)

# %%
kappa = race.condition_number
print(
    "rate of gradient descent predicted from the eigenvalues:", round((kappa - 1) / (kappa + 1), 4)
)
print("of the best momentum:", round((np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1), 4))

# %% [markdown]
# **Answer.** The data decide all four directions here, the last one by nine tenths; a prior twenty
# times as narrow would leave the data little more than one. What is well determined is also what is
# steep, and the ratio of steep to shallow is what first-order optimisers pay for.

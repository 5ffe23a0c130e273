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
# data determine one by one. *Which of them do the data tell apart, which does the prior decide, and
# what does that do to the estimate?*
#
# The data are those of notebook 2's kind: 32 students, of whom some improved in an economics
# course.

# %%
import matplotlib.pyplot as plt
import numpy as np

import workbench as wb
from models.logistic import MODEL
from workbench import plot

plt.rcParams["figure.dpi"] = 80
data = wb.load_dataset("spector")
density = wb.read_density(MODEL, data)
fit = wb.fit_mle(density)

# %% [markdown]
# ## Vectors and matrices: one vector, four covariances
#
# Whatever their shapes, the parameters are one vector of coordinates with labels, and come back
# from it. Its covariance has several answers: the inverse of the observed information (the second
# derivative at the maximum), that of the Fisher information (its expectation), the sandwich (which
# does not believe the model's variance), and the posterior's.

# %%
print(dict(zip(density.z_labels, fit.z.round(3).tolist(), strict=True)))
print(density.constrain(fit.z))
together = wb.covariance(density, mle=fit, quick=True)
print(*together.sentences, sep="\n")
_ = plot.covariance(together)

# %% [markdown]
# Observed and Fisher information are one for a logistic regression: its link is canonical. The
# posterior is narrower, by the information of the prior.
#
# ## Linear maps: the design, its rank, and how the prior shrinks it
#
# The means move with the coefficients by $A = W^{1/2} X$. Its singular value decomposition gives
# directions that do not meet: along one with singular value $d$, in units of prior sds over the
# noise, the posterior mode keeps the share $d^2 / (d^2 + 1)$. Their sum, the trace of the hat
# matrix, is the number of parameters that the data can afford.

# %%
design = wb.design(density, quick=True)
print(*design.sentences, sep="\n")
plot.design(design)
design.table.round(4)

# %% [markdown]
# A column given twice leaves the means where they are when one coefficient rises and the other
# falls: a direction in the null space, which the prior decides alone.

# %%
twice = wb.Dataset(
    name="twice",
    inputs={
        **data.inputs,
        "x": np.column_stack([data.inputs["x"], data.inputs["x"][:, 1]]),
        "x_mean": np.append(data.inputs["x_mean"], data.inputs["x_mean"][1]),
        "x_scale": np.append(data.inputs["x_scale"], data.inputs["x_scale"][1]),
    },
    observed=data.observed,
)
broken = wb.design(MODEL, twice, quick=True)
print(*broken.sentences[:2], sep="\n")
print("shares kept:", broken.table["kept"].round(3).tolist())

# %% [markdown]
# ## Eigenvalues: likelihood against prior
#
# At the posterior mode the curvature of the log posterior is a sum, $H = H_y + H_\pi$. The
# generalised eigenvectors $H_y v = s H v$ are uncorrelated directions of the posterior, and $s$ is
# the data's share of the curvature along each. For models that are not linear they take the place
# of the design's.

# %%
shares = wb.spectrum(density, quick=True)
print(*shares.sentences, sep="\n")
plot.spectrum(shares)
shares.table

# %% [markdown]
# The same eigenvalues give every standard error: the variance of a coordinate is
# $\sum_k Q_{ik}^2 / \lambda_k$. The ratio of the largest to the smallest, the condition number
# $\kappa$, is what first-order optimisers pay for (notebook 8).

# %%
shares.standard_errors

# %% [markdown]
# **Answer.** The data tell all four directions apart and decide them, the last one by nine tenths,
# so that 3.84 of four parameters are theirs. Where the design cannot tell two columns apart, the
# share drops to exactly zero, and what is printed along that direction is the prior.

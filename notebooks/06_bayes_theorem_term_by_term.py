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
# # 6. Bayes' theorem, term by term
#
# **Question.** The posterior is likelihood times prior over evidence. *How large is each factor on
# a real fit, and when does the prior stop to matter?*
#
# The data are 100 years of the Nile's flow, its level an unknown normal mean.

# %%
import matplotlib.pyplot as plt
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd

import workbench as wb
from workbench import plot

plt.rcParams["figure.dpi"] = 80
flow = np.asarray(wb.load_dataset("nile").observed["y"])


def level(y=None):
    """One level for all years: y ~ Normal(mu, sigma)."""
    mu = numpyro.sample("mu", dist.Normal(1000, 200))
    sigma = numpyro.sample("sigma", dist.Exponential(1 / 200))
    with numpyro.plate("year", len(flow)):
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)


density = wb.read_density(level, {"y": flow})

# %% [markdown]
# ## At a point
#
# $\log p(z \mid y) = \log p(y \mid z) + \log p(\theta) + \log|\partial\theta/\partial z| -
# \log p(y)$. The last column is the normal density that touches the posterior at its mode.

# %%
parts = wb.bayes(density)
print(*parts.sentences, sep="\n")
parts.table.round(4)

# %% [markdown]
# ## On an axis
#
# Prior, likelihood and posterior of the noise: on its logarithm, in which the fit works, and on
# its own scale. The Jacobian $d\sigma / d\log\sigma = \sigma$ carries densities from the left to
# the right; the likelihood is no density and keeps its height.

# %%
plot.bayes(parts)
z = parts.axis["z"].to_numpy()
print("posterior integrates to", round(np.trapezoid(parts.axis["posterior"], z), 6))
parts.updates

# %% [markdown]
# Updating batch by batch, each posterior the prior of the next rows, would end at the posterior of
# all rows at once. What is left is the price of the normal density in between: small where the rows
# come shuffled, large in the order of the years, whose level falls.
#
# ## The evidence
#
# With two parameters quadrature gives it to all digits. A model with a change in 1899, when the dam
# at Aswan was begun, costs one more parameter: does the fit pay the Occam factor?


# %%
def change(y=None):
    """Two levels, before and from 1899: y ~ Normal(mu + step, sigma)."""
    mu = numpyro.sample("mu", dist.Normal(1000, 200))
    step = numpyro.sample("step", dist.Normal(0, 200))
    sigma = numpyro.sample("sigma", dist.Exponential(1 / 200))
    later = np.arange(len(flow)) >= 1899 - 1871
    with numpyro.plate("year", len(flow)):
        numpyro.sample("y", dist.Normal(mu + step * later, sigma), obs=y)


by_model = {
    f.__name__: wb.evidence(f, {"y": flow}, estimators=("Laplace", "quadrature"))
    for f in (level, change)
}
occam = {m: [e.fit, e.fit - e.log_evidence] for m, e in by_model.items()}
print(pd.DataFrame(occam, index=["fit", "Occam factor"]).T.round(2))
wb.bayes_factors(by_model).round(4)

# %% [markdown]
# ## More data, wider prior, lower temperature
#
# Three limits in which likelihood and posterior say the same, and how fast they get there.

# %%
towards = wb.limits(density, quick=True)
print(*towards.sentences, sep="\n")
_ = plot.limits(towards)

# %% [markdown]
# **Answer.** The fit is by far the largest term, and after a hundred years posterior and normal
# are a tenth of a standard error apart. In the evidence the prior's width stays for good: it is
# what the second level has to pay for, and the data pay it many times over.

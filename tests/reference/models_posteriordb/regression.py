"""Linear regressions: y_i ~ Normal(x_i beta, sigma), under three priors.

Test scores of children (kidiq), earnings and height (earnings), party identification in four
years (nes), simulated correlated coefficients (sblrc).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpyro
import numpyro.distributions as dist

from ..cases import load_frame, names
from ..posterior import posterior


def flat(x, y=None):
    """Linear regression with flat, improper priors on beta and on sigma > 0."""
    beta = numpyro.sample("beta", dist.ImproperUniform(dist.constraints.real, (), (x.shape[1],)))
    sigma = numpyro.sample("sigma", dist.ImproperUniform(dist.constraints.positive, (), ()))
    numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def half_cauchy(x, y=None):
    """Linear regression with flat priors on beta and a half-Cauchy(2.5) on sigma."""
    beta = numpyro.sample("beta", dist.ImproperUniform(dist.constraints.real, (), (x.shape[1],)))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def proper(x, y=None):
    """Linear regression with Normal(0, 10) priors on beta and a half-Normal(10) on sigma."""
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([x.shape[1]]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10.0))
    numpyro.sample("y", dist.Normal(x @ beta, sigma), obs=y)


def data(name):
    """The response and the covariates of a posterior, as its case states them."""
    frame = load_frame("posteriordb", name)
    one = np.ones(len(frame))
    family = name.split("-")[0]
    if family == "sblrc":
        return {"x": frame.drop(columns="y").to_numpy(), "y": frame["y"].to_numpy()}
    if family == "kidiq":
        school, iq = frame["mom_hs"], frame["mom_iq"]
        columns = {
            "kidiq-kidscore_momhs": [one, school],
            "kidiq-kidscore_momiq": [one, iq],
            "kidiq-kidscore_momhsiq": [one, school, iq],
            "kidiq-kidscore_interaction": [one, school, iq, school * iq],
        }
        return {"x": np.column_stack(columns[name]), "y": frame["kid_score"].to_numpy(float)}
    if family == "earnings":
        height, male, earn = frame["height"], frame["male"], frame["earn"]
        z = (height - height.mean()) / height.std(ddof=1)
        columns = {
            "earnings-earn_height": [one, height],
            "earnings-log10earn_height": [one, height],
            "earnings-logearn_height": [one, height],
            "earnings-logearn_height_male": [one, height, male],
            "earnings-logearn_interaction": [one, height, male, height * male],
            "earnings-logearn_interaction_z": [one, z, male, z * male],
            "earnings-logearn_logheight_male": [one, np.log(height), male],
        }
        response = {"earn": earn, "log10earn": np.log10(earn)}.get(
            name.split("-")[1].split("_")[0], np.log(earn)
        )
        return {"x": np.column_stack(columns[name]), "y": response.to_numpy(float)}
    age = frame["age_discrete"]
    columns = [one, frame["real_ideo"], frame["race_adj"], age == 2, age == 3, age == 4]
    columns += [frame["educ1"], frame["gender"], frame["income"]]
    return {"x": np.column_stack(columns).astype(float), "y": frame["partyid7"].to_numpy(float)}


_MODELS = {"kidiq": half_cauchy, "earnings": flat, "sblrc": proper}
_MODELS |= dict.fromkeys(("nes1972", "nes1980", "nes1988", "nes1996"), flat)

CASES = {
    name: posterior(_MODELS[family], partial(data, name))
    for name in names("posteriordb")
    if (family := name.split("-")[0]) in _MODELS
}

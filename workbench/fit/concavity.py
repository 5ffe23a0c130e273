r"""Likelihoods that are known to have one maximum, so that one start finds it.

With predictors :math:`\eta_i(z)` affine in the unconstrained parameters, the log-likelihood of
choices on the logit scale, :math:`y\eta - \log(1 + e^\eta)` and its kin of several categories,
and of Poisson counts, :math:`y\eta - e^\eta`, is concave in z (Pratt 1981,
doi:10.1080/01621459.1981.10477613). That of one normal site with means affine in z and
:math:`\log\sigma` a coordinate of its own (or known) is, for each :math:`\sigma`, concave in the
means' parameters with a maximum that does not depend on :math:`\sigma`, and along
:math:`\log\sigma` it rises, then falls. A maximum of either is the only one, but for flat ones.
"""

from __future__ import annotations

from typing import Any

import jax

from workbench.fit.compilation import compiled
from workbench.fit.objective import Objective
from workbench.model import Density
from workbench.model.affine import Form, forms
from workbench.model.evaluation import evaluate
from workbench.model.provenance import reach
from workbench.model.sites import bare

_CONCAVE = {
    ("BernoulliLogits", "logits"): Form.AFFINE,
    ("BinomialLogits", "logits"): Form.AFFINE,
    ("CategoricalLogits", "logits"): Form.AFFINE,
    ("MultinomialLogits", "logits"): Form.AFFINE,
    ("Poisson", "rate"): Form.EXPONENTIAL,
}
PARAMETERS = {**{kind: (name,) for kind, name in _CONCAVE}, "Normal": ("loc", "scale")}


def has_one_maximum(density: Density) -> bool:
    """Whether the log-likelihood is known to have one maximum, see the head of this file.

    Parameters
    ----------
    density : Density
        The model at its data.

    Returns
    -------
    bool
        False where it is not known, whatever the truth.

    Examples
    --------
    >>> import numpyro, numpyro.distributions as dist
    >>> from workbench.model import read_density
    >>> def normal(y=None):
    ...     mu = numpyro.sample("mu", dist.Normal(0, 10))
    ...     sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    ...     numpyro.sample("y", dist.Normal(mu, sigma), obs=y)
    >>> has_one_maximum(read_density(normal, {"y": [1.0, 2.0]}))
    True
    """
    return _known(density)


def one_maximum(objective: Objective) -> bool:
    """Whether an objective is a likelihood that is known to have one maximum."""
    return objective.method == "MLE" and has_one_maximum(objective.density)


@compiled
def _known(density: Density) -> bool:
    sites = [density.site(n) for n in density.names("observed")]
    others = density.names("factor", "random effect")
    if others or not sites or any(s.moved_by for s in sites):
        return False
    kinds: dict[str, str] = {}

    def program(z: dict[str, jax.Array], arrays: Any) -> dict[str, dict[str, Any]]:
        kwargs = density.arguments.join(arrays)
        found = evaluate(density.model.fn, kwargs, z).distributions
        fns = {s.name: bare(found[s.name]) for s in sites}
        kinds.update({n: type(fn).__name__ for n, fn in fns.items()})
        return {
            n: {p: getattr(fn, p) for p in PARAMETERS.get(kinds[n], ())} for n, fn in fns.items()
        }

    size = {x.name: x.stop - x.start for x in density.latents}
    # not one flat vector, out of which every site would seem to hold all
    z = {x.name: jax.ShapeDtypeStruct(x.shape, float) for x in density.latents}
    found = forms(program, z, density.arrays)
    if any(kind not in PARAMETERS for kind in kinds.values()):
        return False
    if set(kinds.values()) == {"Normal"} and len(sites) == 1:
        (site,) = sites
        inputs = {**z, "data": density.arrays}
        labels = reach(lambda v: program({n: v[n] for n in z}, v["data"]), inputs)[site.name]
        of_loc, of_scale = (labels[n] & set(z) for n in ("loc", "scale"))
        loc, scale = found[site.name]["loc"], found[site.name]["scale"]
        alone = not of_loc & of_scale and sum(size[n] for n in of_scale) <= 1
        return loc <= Form.AFFINE and scale in (Form.CONSTANT, Form.EXPONENTIAL) and alone
    wanted = {n: (kind, PARAMETERS[kind][0]) for n, kind in kinds.items()}
    return all(
        key in _CONCAVE and found[n][key[1]] in (Form.CONSTANT, _CONCAVE[key])
        for n, key in wanted.items()
    )

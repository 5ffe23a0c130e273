"""How a fit ended: a closed list of sentences, each with advice."""

from __future__ import annotations

from enum import Enum


class Status(Enum):
    """How a fit ended; the value is the sentence shown to the user.

    ``status.ok`` is True only for :attr:`CONVERGED`.

    Examples
    --------
    >>> Status.CONVERGED.ok, Status.SEPARATED.ok
    (True, False)
    """

    CONVERGED = "converged"
    NOT_CONVERGED = (
        "not converged: the gradient is not at rounding level; rescale the covariates, give more "
        "starts (num_starts=) or more iterations (max_iterations=)"
    )
    NOT_IDENTIFIED = (
        "not identified: the objective is flat along a combination of parameters; drop a redundant "
        "term or give an informative prior"
    )
    AT_BOUNDARY = (
        "at the boundary: a parameter runs to the edge of its support, where standard errors do "
        "not exist; read the posterior, or test the simpler model without it"
    )
    SEPARATED = (
        "separated: a combination of covariates predicts the outcome perfectly, so the likelihood "
        "rises without end and no finite estimate exists; use the posterior or Firth's penalty "
        "(fit_firth)"
    )
    UNBOUNDED = (
        "unbounded: the objective rises without end as parameters run off, so no finite maximum "
        "exists; use the posterior or a proper prior"
    )
    SADDLE = (
        "stopped at a saddle: the objective still rises along a direction of negative curvature; "
        "give more starts (num_starts=)"
    )
    SEVERAL_OPTIMA = (
        "several optima: starts ended at different maxima of nearly the same height; the best is "
        "shown, look at fit.optima()"
    )
    TOO_FEW_DRAWS = (
        "too few draws: the effective sample size is too small for the reported digits; raise "
        "num_samples"
    )
    POOR_MIXING = (
        "poor mixing: the chains disagree (R-hat); raise num_warmup, or reparameterise the model"
    )
    DIVERGENT = (
        "divergent transitions: the sampler could not follow the posterior's curvature, so the "
        "estimates may be biased; raise target_accept_prob or reparameterise (non-centred)"
    )
    NOT_CALIBRATED = (
        "not calibrated: truths drawn from the prior are not where the posterior says; check that "
        "the model simulates the data it is fitted to, then the sampler's diagnostics"
    )
    IMPROPER = (
        "improper or undefined: the log density is not finite where the sampler went; check the "
        "priors"
    )

    @property
    def ok(self) -> bool:
        """Whether the fit can be read as it stands."""
        return self is Status.CONVERGED

"""Classic BUGS examples in NumPyro, one file for each kind.

The density of each is what its ``case.json`` states; how the effects are centred is ours, and a
term that BUGS derives is a deterministic site of its name. ``precision`` is BUGS's vague prior.
"""

from . import effects, fixed, growth

CASES = {**fixed.CASES, **effects.CASES, **growth.CASES}

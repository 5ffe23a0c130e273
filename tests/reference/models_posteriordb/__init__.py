"""posteriordb's models in NumPyro, one file for each family.

Each file ends with ``CASES``: a posterior's name, its model, its data and the settings of its fit.
The density of each is what its ``case.json`` states.
"""

from . import (
    eight_schools,
    gaussian_process,
    hidden_markov,
    mixture,
    population,
    regression,
    time_series,
)

CASES = {
    **regression.CASES,
    **eight_schools.CASES,
    **time_series.CASES,
    **hidden_markov.CASES,
    **gaussian_process.CASES,
    **mixture.CASES,
    **population.CASES,
}

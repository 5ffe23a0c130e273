"""The errors a person sees: one sentence that names the thing, the expected and the got."""


class WorkbenchError(ValueError):
    """Something asked of the workbench cannot be done; the message is one sentence.

    Examples
    --------
    >>> from workbench import WorkbenchError, load_dataset
    >>> try:
    ...     load_dataset("diabetis")
    ... except WorkbenchError as error:
    ...     print(error)
    asked for data set 'diabetis', which is not there; did you mean 'diabetes'?
    """


class DataError(WorkbenchError):
    """The data cannot be used as they are."""


class ModelError(WorkbenchError):
    """The model cannot be read as a density, or does not fit the data."""


class FitError(WorkbenchError):
    """A fit cannot be made or used as asked."""


class UsageError(WorkbenchError):
    """The request itself is malformed."""

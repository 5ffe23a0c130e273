"""Questions that take many fits: the bootstrap, and every interval of a term in one row."""

from workbench.study.bootstrap import Bootstrap, bootstrap

__all__ = ["Bootstrap", "bootstrap"]

"""What is going on, told on a terminal's stderr while it goes on: one line for each chain."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STAGES = {
    "MLE": "maximum likelihood",
    "MAP": "posterior mode, constrained space",
    "Laplace": "posterior mode, unconstrained space",
    "NUTS": "NUTS: compiling",
    "scores": "scores and predictions",
}


class Watcher:
    """Shows stages and chains; all of its methods may be called from any thread.

    Parameters
    ----------
    display : rich.progress.Progress or None
        Where to show them; nothing is shown when ``None``.
    """

    def __init__(self, display: Any) -> None:
        self._display = display
        self._lock = threading.Lock()
        self._chains: dict[int, Any] = {}
        self._stage = display.add_task("reading", total=None, note="") if display else None

    def stage(self, name: str) -> None:
        """Say what begins now."""
        if self._display is not None:
            with self._lock:
                self._display.update(self._stage, description=STAGES.get(name, name))

    def chain(self, at: Any) -> None:
        """Show how far a chain is: iteration, divergences, step size."""
        if self._display is None:
            return
        with self._lock:
            if at.chain not in self._chains:
                self._display.update(self._stage, description="NUTS: sampling")
                self._chains[at.chain] = self._display.add_task(
                    f"chain {at.chain + 1}", total=at.num_steps, note=""
                )
            phase = "warm-up" if at.warmup else "sampling"
            note = f"{phase}  divergences {at.divergences}  step size {at.step_size:.3g}"
            self._display.update(self._chains[at.chain], completed=at.step, note=note)


@contextmanager
def watching(quiet: bool) -> Iterator[Watcher]:
    """Show progress while a block runs, where stderr is a terminal and `quiet` is not asked for.

    Parameters
    ----------
    quiet : bool
        Show nothing.

    Yields
    ------
    Watcher
    """
    if quiet or not sys.stderr.isatty():
        yield Watcher(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        yield Watcher(display)

"""What every command shares: sentences for errors, exit codes, quiet pipes and libraries.

====  ================================================================
0     done
1     an error, in one sentence (``--debug`` shows where it came from); a reader that left
2     the command was written wrongly
3     done, but a diagnostic says that the result should not be trusted
130   interrupted
====  ================================================================
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from workbench.errors import UsageError, WorkbenchError

DONE, ERROR, USAGE, DISTRUST, INTERRUPTED = 0, 1, 2, 3, 130
DEBUG = "workbench.debug"
KEPT = "workbench.kept"
_GARBAGE = 200_000  # objects made since the last collection, from which another is due


class Shell(click.Group):
    """A group of commands whose errors are sentences and whose results are exit codes."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command line; exit with its code, or return it without `standalone_mode`."""
        try:
            with quiet_libraries(), rare_collections():
                code = self._answer(*args, **extra)
        except BrokenPipeError:
            # the reader has left (`| head`): what is still in the buffer goes nowhere, quietly
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = ERROR
        if standalone_mode:
            sys.exit(code)
        return code

    def _answer(self, *args: Any, **extra: Any) -> int:
        try:
            code = super().main(*args, standalone_mode=False, **extra)
            sys.stdout.flush()
            return code if isinstance(code, int) else DONE
        except click.ClickException as error:
            usage = isinstance(error, click.UsageError)
            if isinstance(error, click.UsageError) and error.ctx is not None:
                click.echo(error.ctx.get_usage(), err=True)
            return _say(f"error: {error.format_message()}", USAGE if usage else ERROR)
        except click.Abort:
            return INTERRUPTED
        except SystemExit as stop:  # click's answer to a reader that has left
            return stop.code if isinstance(stop.code, int) else ERROR

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command and turn what goes wrong into a sentence and an exit code."""
        ctx.meta[DEBUG] = False
        kept: list[Path] = ctx.meta.setdefault(KEPT, [])
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            written = ", ".join(map(str, kept))
            said = f"kept {written}" if written else "nothing was written"
            return _say(f"interrupted: {said}", INTERRUPTED)
        except WorkbenchError as error:
            _trace(ctx)
            return _say(f"error: {error}", USAGE if isinstance(error, UsageError) else ERROR)
        except Exception as error:  # the last door: a model's own code may raise anything
            _trace(ctx)
            return _say(f"error: {describe(error)}", ERROR)


def describe(error: Exception) -> str:
    """Tell an unexpected error in one sentence: its kind, its first line and its place.

    Parameters
    ----------
    error : Exception
        What was raised.

    Returns
    -------
    str

    Examples
    --------
    >>> describe(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero (--debug shows where)'
    """
    text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    frames = traceback.extract_tb(error.__traceback__)
    package = str(Path(__file__).parents[1])
    own = [f for f in frames if "site-packages" not in f.filename]
    user = [f for f in own if not f.filename.startswith((package, "<")) and f.line]
    user = [f for f in user if Path(f.filename).suffix == ".py" and not _of_python(f.filename)]
    place = f" at {Path(user[-1].filename).name}:{user[-1].lineno}" if user else ""
    return f"{type(error).__name__}{place}: {text} (--debug shows where)"


def _of_python(name: str) -> bool:
    return Path(name).is_relative_to(Path(os.__file__).parent)


def _say(sentence: str, code: int) -> int:
    click.echo(sentence, err=True)
    return code


def _trace(ctx: click.Context) -> None:
    if ctx.meta[DEBUG]:
        click.echo(traceback.format_exc(), err=True, nl=False)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what libraries say to programmers off a user's screen, unless Python was asked for it.

    What matters of it is said in our words, as findings. ``python -W`` and PYTHONWARNINGS win.
    """
    logging.getLogger("jax").setLevel(logging.ERROR)
    if sys.warnoptions:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for garbage seldom: a command makes few cycles, and ends.

    A collection goes through all that the libraries hold, 0.15 s with JAX and ArviZ imported; with
    Python's own thresholds there are eight in a comparison that takes six seconds, and three more
    as the process ends, whose memory is the system's to take back.
    """
    atexit.register(gc.freeze)
    before = gc.get_threshold()
    gc.set_threshold(_GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)

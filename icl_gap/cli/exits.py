"""Exit codes of the command line, and the messages that go with them.

0    success
1    the work failed: a model, a results folder, a disk
2    invalid input: an option, a sweep, a card, a recipe
70   a defect of the program
130  stopped with Ctrl-C
141  the reader of the output, such as `head`, closed it
"""

from __future__ import annotations

import io
import os
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperGroup

from icl_gap.cli.console import warn
from icl_gap.errors import IclGapError, InputError
from icl_gap.text import printable

FAILED = 1
DEFECT = 70
INTERRUPTED = 130
READER_GONE = 141
_LONGEST = 300


RENAMED: Mapping[str, str] = MappingProxyType({"audit": "diagnose"})
"""Old names of commands, and their new ones."""


class Commands(TyperGroup):
    """The group of commands; ends with the exit codes above, and knows old names of commands."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name.

        Raises:
            InputError: The command has a new name.
        """
        if cmd_name in RENAMED:
            raise InputError(f"`icl-gap {cmd_name}` is now `icl-gap {RENAMED[cmd_name]}`")
        return super().get_command(ctx, cmd_name)

    def make_context(self, *args: Any, **more: Any) -> Any:
        """Parse the arguments of the program itself, such as `--help`."""
        with _endings():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        """Parse the arguments of a command, and run it."""
        with _endings():
            return super().invoke(ctx)


@contextmanager
def _endings() -> Iterator[None]:
    """Replace typer's exit codes by those of the program."""
    try:
        yield
    except KeyboardInterrupt:
        warn("icl-gap: stopped")
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        raise typer.Exit(READER_GONE) from None
    except typer.BadParameter as error:
        error.message = _clip(error.message)  # typer repeats numbers of thousands of digits
        raise


def exit_code(command: Callable[[], object]) -> int:
    """Run a command line and return its exit code.

    Errors are printed briefly. For a defect of the program, the traceback is written to a temporary
    file, whose path is printed.

    Args:
        command: Parses the arguments and runs; may raise anything.
    """
    try:
        _check_streams()
        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        warn("icl-gap: stopped")
        code = INTERRUPTED
    except IclGapError as error:
        warn(f"icl-gap: {error}")
        code = error.exit_code
    except BrokenPipeError:
        code = READER_GONE
    except OSError as error:  # a path that no system takes, a disk that is gone
        warn(f"icl-gap: {error.filename or 'files'}: {error.strerror or error}")
        code = FAILED
    except Exception as error:  # noqa: BLE001 (a user gets one line, whatever goes wrong)
        _report_defect(error)
        code = DEFECT
    else:
        code = 0
    return _flushed(code)


def _flushed(code: int) -> int:
    """Flush standard output and return the exit code.

    Without this, the interpreter would report a full disk only after the exit code is set.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        code = READER_GONE
    except OSError as error:
        warn(f"icl-gap: standard output: {error.strerror or error}")
        code = FAILED
    else:
        return code
    _drop_output()
    return code


def _check_streams() -> None:
    """Make standard output and standard error accept any text.

    A closed descriptor would be reused for the next file that is opened, and output would be
    written into that file; the null device takes its place.

    Raises:
        InputError: Standard output is closed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # reuses the lowest free descriptor, which is this one
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (a descriptor, open until the end)
    if sys.stdout is None:
        raise InputError(
            "standard output is closed", allowed="an open one; `> /dev/null` drops the output"
        )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error does


def _drop_output() -> None:
    """Discard buffered output, so that the interpreter can exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def _report_defect(error: Exception) -> None:
    """Print the defect in one line, and the path of its traceback."""
    said = " ".join(f"{type(error).__name__}: {_text_of(error)}".split())
    name = shlex.join(sys.argv[1:2])
    warn(
        f"icl-gap: `icl-gap {name}` stopped because of a defect of the program, "
        f"not of your input: {_clip(said)}"
    )
    details = "".join(traceback.format_exception(error))
    try:
        # A random name and mode 0600, as tracebacks hold paths and texts.
        descriptor, path = tempfile.mkstemp(prefix="icl-gap-traceback-", suffix=".txt")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123 (a descriptor)
            file.write(f"icl-gap {shlex.join(sys.argv[1:])}\n\n{details}")
    except OSError:
        warn(details)
    else:
        warn(f"the traceback, for a report of the defect: {path}")


def _text_of(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 (an error whose own text fails is a defect too)
        return "(its text cannot be shown)"


def _clip(text: str) -> str:
    shown = printable(text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"

"""How an outcome reaches the person who asked: words or JSON, and an exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from builder.failures import Blame, Explanation, explain
from builder.failures.asked import Stopped
from builder.transcript import printable
from detectors.failures import BuildError
from detectors.plan import Warned

STOPPED = 130
"""The exit code of a command that the user ended: 128 and SIGINT, as shells count."""


class Commands(click.Group):
    """A group whose failures come out as words, or as JSON with `--json`, and decide the exit code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        arguments = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in takewhile(lambda argument: argument != "--", arguments)
        with _sigterm_as_interrupt():
            try:
                code = super().main(arguments, *rest, **{**extra, "standalone_mode": False})
            except (click.Abort, KeyboardInterrupt):
                note("Stopped.")
                if as_json:
                    fail(explain(Stopped()), as_json)
                code = STOPPED
            except click.ClickException as error:
                code = _usage(error, as_json)
            except BuildError as error:
                code = fail(explain(error.failure), as_json)
            except Exception as error:  # noqa: BLE001 - no traceback reaches the terminal
                code = _unexpected(error, as_json)
        sys.exit(code if isinstance(code, int) else 0)


Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """`--json`: the result, or the failure, as one JSON document on standard output."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words.")(command)


def emit(document: object) -> None:
    """Print a JSON document on standard output."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    click.echo("".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text))


def note(text: str) -> None:
    """Say something on standard error, where it is in nobody's way."""
    click.echo(printable(text), err=True)


def warn(warnings: Iterable[Warned]) -> None:
    """Say warnings on standard error."""
    for warned in warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {printable(warned.message)}", err=True)


def fail(explanation: Explanation, as_json: bool) -> int:
    """Say what failed, what was seen and what to do; returns the exit code."""
    if as_json:
        emit({"error": explanation.to_json()})
        return explanation.blame.exit_code
    click.echo(rendered(explanation), err=True)
    return explanation.blame.exit_code


def rendered(explanation: Explanation) -> str:
    """An explanation as a terminal shows it, styled."""
    lines = [f"{click.style('error:', fg='red', bold=True)} {_one_line(explanation.title)}"]
    lines += [f"  {printable(line)}" for line in explanation.seen.splitlines()]
    lines += [f"{click.style('to do:', bold=True)} {_one_line(line)}" for line in explanation.fix]
    return "\n".join(lines)


def _one_line(text: str) -> str:
    """Printable text on one line: a name with a line break in it must not look like words of ours."""
    return printable(" ".join(text.splitlines()))


def _usage(error: click.ClickException, as_json: bool) -> int:
    if not as_json:
        error.show()
        return Blame.USAGE.exit_code
    where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "launchyard"
    fix = (f"`{where} --help` lists what it takes.",)
    return fail(Explanation("usage", error.format_message(), where, fix, Blame.USAGE), as_json)


def _unexpected(error: Exception, as_json: bool) -> int:
    if isinstance(error, OSError) and error.errno:
        from builder.space import no_room

        if full := no_room(error, error.filename or "a file"):
            return fail(explain(full), as_json)
    if os.environ.get("LAUNCHYARD_DEBUG") == "1":
        traceback.print_exc()
    seen = f"{type(error).__name__}: {str(error)[:300]}".splitlines()[0]
    fix = (f"Please report this; the details are in {_write_traceback(error)}.",)
    title = "Launchyard met something it does not expect"
    return fail(Explanation("unexpected", title, _redacted(seen), fix, Blame.LAUNCHYARD), as_json)


def _write_traceback(error: Exception) -> Path:
    directory = _state_dir() / "tracebacks"
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    text = _redacted("".join(traceback.format_exception(error)))
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        directory = Path(tempfile.gettempdir())
    path = directory / name
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _state_dir() -> Path:
    from builder.settings import load

    try:
        return Path(load().state_dir)
    except BuildError:
        return Path(tempfile.gettempdir(), "launchyard")


def _redacted(text: str) -> str:
    from builder.settings import load, secrets

    try:
        for secret in sorted(secrets(load()), key=len, reverse=True):
            text = text.replace(secret, "***")
    except BuildError:  # Settings that cannot be read have put no secret into anything.
        pass
    return text


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a command in the same order as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

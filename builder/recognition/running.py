"""What programs say when they run, in a postBuild or in a log of another place."""

from __future__ import annotations

import re

from builder.failures.built import ModuleMissing, NumpyTooNew, ProgramMissing
from builder.recognition import debian
from builder.recognition.names import distribution
from builder.recognition.said import Said

_NUMPY = re.compile(
    r"numpy\.dtype size changed|numpy\.core\.(?:_multiarray_umath|multiarray) failed to import"
    r"|compiled using NumPy 1\.x cannot be run in"
)
_PROGRAM = re.compile(
    r"^\S{1,200}: (?:line )?\d{1,6}: ([\w.+-]{1,60}): (?:command )?not found\s*$"
    r"|^/usr/bin/env: \W?([\w.+-]{1,60})\W?: No such file or directory"
)
_MODULE = re.compile(r"^ModuleNotFoundError: No module named '([\w.]{1,100})'")


def recognise(said: Said) -> object | None:
    """The failure of something that ran, None where nothing is known of it."""
    if _NUMPY.search(said.text):
        return NumpyTooNew(said.line(_NUMPY.pattern), said.asked.lines("numpy"))
    found = [match for line in said.lines if (match := _PROGRAM.search(line))]
    if found:
        program = found[-1][1] or found[-1][2]
        exists = bool(said.asked.system_packages)
        return ProgramMissing(program, found[-1][0].strip(), debian.packages(program), said.asked.apt, exists)
    if modules := [match[1] for line in said.lines if (match := _MODULE.search(line))]:
        top = modules[-1].partition(".")[0]
        files = [path for path, _ in said.asked.files()]
        return ModuleMissing(top, distribution(top) or top, files[0] if files else "")
    return None

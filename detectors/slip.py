"""Slips of the pen: what people write in place of a requirement or of a conda package, and what they mean by it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

OF_PYTHON = "a line of Python, where a package is named"
COMMAND = "a command, where its packages alone are meant"
OF_PIP = "what pip alone reads, among conda's packages"
SEVERAL = "several packages in one line"

MAX_LENGTH = 200
"""Characters of a line that is looked at, and"""
MAX_PACKAGES = 20
"""how many packages may stand in it."""

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[^\]]*\])?"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""What nobody types by a slip, a tab apart."""

_COMMAND = re.compile(
    r"[!%$>\s]*(?:sudo\s+)?(?:python3?\s+-m\s+)?(?:pip3?|conda|mamba|micromamba|uv|uv\s+pip|poetry|pipenv)"
    r"\s+(?:install|add)\s+"
)
_OF_COMMANDS = re.compile(
    r"(?<!\S)(?:(?:-c|-n|--channel|--name)[\s=]\S+"
    r"|-U|--upgrade|-y|--yes|-q|--quiet|--user|--pre|--no-cache-dir|--no-deps|--force-reinstall)(?!\S)"
)
_PAGE = re.compile(
    r"(?:git\s+clone\s+)?(?:https?://)?((?:github|gitlab|bitbucket|codeberg)\.(?:com|org)/[\w.-]+/[\w.-]+?)"
    r"(?:\.git)?/?(?:/tree/([\w.-]+)/?)?",
    re.ASCII,
)
_IMPORT = re.compile(r"import\s+(.+)|from\s+([A-Za-z_]\w*)[\w.]*\s+import\s.*")
_LOOKS = str.maketrans({
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'", "´": "'",
    "≥": ">=", "⩾": ">=", "≤": "<=", "⩽": "<=", "≠": "!=", "–": "-", "—": "--", "−": "-", "‐": "-", "‑": "-",
})  # fmt: skip
"""What editors for prose make of what was typed."""


def is_command(line: str) -> bool:
    """Whether a line is one for a terminal that installs something."""
    return bool(_COMMAND.match(line))


def meant(text: str, reads: Callable[[str], bool], equals: str = "==") -> tuple[str, tuple[str, ...]] | None:
    """The rule that a line breaks, and what should stand there: one line, or one for each package.

    No lines where that would take guessing: what is given can be read, by `reads`. None where no rule is known.
    """
    if len(text) > MAX_LENGTH or _CONTROL.search(text):
        return None
    told = odd = _odd(text)
    for mends, whole in ((_OF_LINES, True), (_OF_VERSIONS, False)):
        for problem, mend in mends:
            head, semicolon, marker = (text, "", "") if whole else text.partition(";")
            mended = mend(head, equals) + semicolon + marker
            told = told or problem * (mended != text)
            text = mended
            if told and reads(text):
                return told, (text,)
    packages = _several(text, reads, equals)
    return (told or SEVERAL, packages) if packages else (told, ()) if told in (COMMAND, odd) and told else None


def read_by(parse: Callable[[str], object]) -> Callable[[str], bool]:
    """What says of a text whether a parser takes it; one that does not raises ValueError."""

    def reads(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, RecursionError):
            return False
        return True

    return reads


def with_version(name: str, bound: str, equals: str = "==") -> str:
    """A requirement of what Poetry's tables say: "numpy>=1.2,<2" of numpy = "^1.2"."""
    return _caret(name + ("" if bound in ("", "*") else f"{equals}{bound}" if bound[0].isdigit() else bound), equals)


def is_for_pip(text: str) -> bool:
    """Whether a line is one that pip reads, and conda does not: an option, an address, a package with extras."""
    return bool(re.match(r"-[re]\s|--?[a-z-]+=?\s|(?:git\+)?https?://", text) or re.match(r"[\w.-]+\[[\w, -]+\]", text))


def repository(text: str) -> str | None:
    """The address that git takes, of what is the page of a repository; None for other addresses."""
    found = _PAGE.fullmatch(text)
    return f"git+https://{found[1]}" + (f"@{found[2]}" if found[2] else "") if found else None


def _several(text: str, reads: Callable[[str], bool], equals: str) -> tuple[str, ...]:
    for separator in (r"\s*,\s*", r"[\s,]+"):
        parts = [part for part in re.split(separator, text) if part][: MAX_PACKAGES + 1]
        mended = [_bare(_quotes(part, equals), equals) for part in parts]
        if 1 < len(parts) <= MAX_PACKAGES and all(part[0].isalpha() and reads(part) for part in mended):
            return tuple(mended)
    return ()


def _characters(text: str, _: str) -> str:
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", text.translate(_LOOKS))
    return " ".join("".join(c for c in plain if unicodedata.category(c) != "Cf").split())


def _odd(text: str) -> str:
    odd = next((c for c in text if not c.isascii()), "")
    return f"it holds the character U+{ord(odd):04X}, {unicodedata.name(odd, 'without a name').lower()}" if odd else ""


def _command(text: str, _: str) -> str:
    return " ".join(_OF_COMMANDS.sub("", text[found.end() :]).split()) if (found := _COMMAND.match(text)) else text


def _import(text: str, _: str) -> str:
    if not (found := _IMPORT.fullmatch(text)):
        return text
    modules = [found[2]] if found[2] else [part.split()[0] for part in found[1].split(",") if part.strip()]
    return ", ".join(dict.fromkeys(module.partition(".")[0] for module in modules))


def _bullet(text: str, _: str) -> str:
    return re.sub(r"^[-*•]\s+", "", text)


def _quotes(text: str, _: str) -> str:
    text = text.rstrip(", ;") if text[:1] in "'\"`" else text
    return text[1:-1].strip() if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"`" else text


def _ending(text: str, _: str) -> str:
    return text.rstrip(", ;")


def _toml(text: str, equals: str) -> str:
    found = re.fullmatch(rf"({_NAME})\s*=\s*(['\"])([^'\"]*)\2", text)
    return with_version(found[1], found[3].strip(), equals) if found else text


def _quoted_version(text: str, _: str) -> str:
    return re.sub(r"([=<>~])\s*(['\"])([^'\";]+)\2", r"\1\3", text)


def _caret(text: str, _: str) -> str:
    return re.sub(r"\s*(?:[=<>~!]=|=)?\s*\^\s*=?\s*(\d+(?:\.\d+)*)", lambda found: _between(found[1]), text)


def _between(version: str) -> str:
    """What ^1.2 stands for: https://python-poetry.org/docs/1.8/dependency-specification/#caret-requirements"""
    parts = [int(part[:9]) for part in version.split(".")]
    bumped = next((n for n, part in enumerate(parts) if part), len(parts) - 1)
    return f">={version},<{'.'.join(map(str, [*parts[:bumped], parts[bumped] + 1]))}"


def _turned(text: str, _: str) -> str:
    return re.sub(r"(?<![=<>!~])=([<>])(?!=)", r"\1=", text)


def _tilde(text: str, equals: str) -> str:
    text = re.sub(r"(?<![=<>!~])~(?!=)\s*(\d+)(?=$|[\s,])", rf"{equals}\1.*", text)
    return re.sub(r"(?<![=<>!~])~(?!=)", "~=", text)


def _single(text: str, equals: str) -> str:
    return re.sub(r"(?<![=<>!~])=(?![=<>!~])", equals, text)


def _star(text: str, equals: str) -> str:
    text = re.sub(r"\s*(?:==?|>=)\s*\*(?=$|[\s,])", "", text)
    text = re.sub(r"(\d)\.[xX](?![\w.])", r"\1.*", text)
    text = re.sub(r"~=\s*(\d+(?:\.\d+)*\.\*)", rf"{equals}\1", text)
    return re.sub(r"((?:>=|<)\s*\d+(?:\.\d+)*)\.\*", r"\1", text)


def _comma(text: str, _: str) -> str:
    return re.sub(r"(\d[\w.*+!]*)\s+(?:and\s+|&+\s*)?(?=[<>!~=]=?\s*\d)", r"\1,", text)


def _bare(text: str, equals: str) -> str:
    return re.sub(rf"^({_NAME})\s*(?:[\s:@]|\()\s*v?(\d[\w.*+!]*)\s*\)?\s*$", rf"\1{equals}\2", text)


_Mends = tuple[tuple[str, Callable[[str, str], str]], ...]
"""(the rule that is broken, what keeps to it), in the order in which a line is mended."""

_OF_LINES: _Mends = (
    ("", _characters),
    (COMMAND, _command),
    (OF_PYTHON, _import),
    ("a dash or a star stands before it", _bullet),
    ("quotes stand around it", _quotes),
    ("a comma or a semicolon with nothing behind it", _ending),
)
_OF_VERSIONS: _Mends = (
    ("the form of TOML, with quotes around the version", _toml),
    ("quotes stand around the version", _quoted_version),
    ("^ is for Poetry alone", _caret),
    ("=> and =< where >= and <= are meant", _turned),
    ("a single ~ where ~= is meant", _tilde),
    ("a single = where == is meant", _single),
    ("a version with a star or an x, where none can be", _star),
    ("no comma between the bounds of its version", _comma),
    ("no == between the name and the version", _bare),
)
"""Those of what stands before a marker."""

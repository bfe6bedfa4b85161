"""Documents that explode, construct, repeat, hide or inject, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command import Launchyard
from tests.conftest import commit
from tests.hostile.asking import command, refused

INVALID = "file-invalid"
PROJECT = '[project]\nname = "tides"\nversion = "1"\n'
POETRY = '[tool.poetry]\nname = "tides"\nversion = "1"\ndescription = ""\nauthors = []\n[tool.poetry.dependencies]\n'

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
FAR = "dependencies = [" + "\n" * 900_000 + ",".join(f'"p{n}"' for n in range(990)) + ', "!"]'
"""Requirements a megabyte behind their key: each is looked for from there on."""

DOCUMENTS: dict[str, list[tuple[str, str | bytes, str, str]]] = {
    "environment.yml": [
        ("aliases that explode", BOMB, INVALID, "more than 20000 values"),
        ("an alias of itself", "a: &a [*a]\n", INVALID, "an alias without its anchor"),
        ("nested 100,000 deep", "[" * 100_000, INVALID, "nested more than 20 levels deep"),
        ("mappings nested 100,000 deep", "{a: " * 100_000, INVALID, "nested more than 20 levels deep"),
        ("blocks nested 100,000 deep", "- " * 100_000, INVALID, "nested more than 20 levels deep"),
        ("a million values", "dependencies:\n" + "- a\n" * 200_000, INVALID, "more than 20000 values"),
        ("a tag that calls", "a: !!python/object/apply:os.system [id]\n", INVALID, "a tag; only plain values"),
        ("a tag that makes", "!!python/object/new:object {}\n", INVALID, "a tag; only plain values"),
        ("a tag of the file's own", "%TAG ! tag:x,2000:\n---\na: !x y\n", INVALID, "a tag; only plain values"),
        ("a binary", "a: !!binary aWQ=\n", INVALID, "a tag; only plain values"),
        ("a merge", "x: &x {a: 1}\ndependencies:\n- <<: *x\n", INVALID, "neither name=version nor pip:"),
        ("a key for the second time", "name: a\nname: b\n", INVALID, "the key name for the second time"),
        ("a list as a key", "? [a]\n: b\n", INVALID, "a key that is not text"),
        ("two documents", "--- a\n--- b\n", INVALID, "more than one document"),
        ("NUL", b"name: a\0b\n", INVALID, "control characters"),
        ("UTF-16 without a mark", "name: x\n".encode("utf-16-le"), INVALID, "control characters"),
        ("half of UTF-16", b"\xff\xfea", "undecodable", "is not text in UTF-16"),
        ("UTF-32", "name: x\n".encode("utf-32"), INVALID, "control characters"),
        ("Latin-1", "name: é\n".encode("latin-1"), "undecodable", "environment.yml:1:7"),
        ("bytes at random", bytes(range(256)), "undecodable", "is not text in UTF-8"),
        ("a surrogate", b"name: \xed\xa0\x80\n", "undecodable", "is not text in UTF-8"),
        ("empty", "", INVALID, "empty"),
        ("a version with a line break", 'dependencies: ["numpy=1\\nRUN id"]', INVALID, "not of the form"),
        ("a version with a quote", "dependencies: ['numpy=1\"']", INVALID, "not of the form"),
        ("a version with a command", "dependencies: ['numpy=$(id)']", INVALID, "not of the form"),
        ("a version with backticks", "dependencies: ['numpy=`id`']", INVALID, "not of the form"),
        ("a Python with a line break", 'dependencies: ["python=3.10\\nUSER 0"]', INVALID, "not of the form"),
        ("a Python with a command", "dependencies: ['python=$(id)']", INVALID, "not of the form"),
        ("a package that is an option", "dependencies: ['--file=x']", INVALID, "not of the form"),
        ("a channel with a line break", 'channels: ["a\\nb"]', INVALID, "neither a name nor an https"),
        ("a channel with a quote", "channels: ['a\"b']", INVALID, "neither a name nor an https"),
        ("a channel with a command", "channels: ['https://a.example/$(id)']", INVALID, "neither a name nor an https"),
        ("a channel with backticks", "channels: ['`id`']", INVALID, "neither a name nor an https"),
        ("a channel that is an option", "channels: ['--override']", INVALID, "neither a name nor an https"),
        ("a channel on this machine", "channels: ['file:///etc']", INVALID, "neither a name nor an https"),
        ("a channel above", "channels: ['../x']", INVALID, "neither a name nor an https"),
        ("a channel with a password", "channels: ['https://ada:s3cret@a.example/x']", INVALID, "neither a name nor"),
        ("a variable with a line break", 'variables: {"A\\nB": x}', INVALID, "letters, digits and _ only"),
        ("a variable that is a command", "variables: {'$(id)': x}", INVALID, "letters, digits and _ only"),
        ("a variable with a NUL", 'variables: {A: "x\\0y"}', INVALID, "not one text"),
        ("a pip line that is an option", "dependencies: [{pip: ['--target=/etc']}]", INVALID, "not an option of a req"),
        ("a pip line above", "dependencies: [{pip: ['-r ../../etc/passwd']}]", "path-outside", "etc/passwd"),
    ],
    "requirements.txt": [
        ("a file above", "-r ../../../etc/passwd\n", "path-outside", "leads out of the repository"),
        ("a file of the machine", "-r /etc/passwd\n", "path-outside", "leads out of the repository"),
        ("a file by URL", "-r https://a.example/x.txt\n", INVALID, "files at a URL are not read"),
        ("an archive of the machine", "file:///etc/passwd\n", INVALID, "./path"),
        ("an archive above", "../../x.whl\n", "path-outside", "leads out of the repository"),
        ("a path of a mile", "./" + "a/" * 50_000 + "\n", "path-too-long", "more than 4,000 characters"),
        ("another transport", "x @ git+ssh://git@a.example/x\n", INVALID, "none of https, http, git+https"),
        ("a transport that runs", "x @ git+ext::sh\n", INVALID, "none of https, http, git+https"),
        ("a secret", "x @ https://ada:s3cret@a.example/x.whl\n", INVALID, "it holds credentials"),
        ("a secret in an index", "-i https://ada:s3cret@a.example/\n", INVALID, "it holds credentials"),
        ("a variable", "x @ https://a.example/${TOKEN}\n", INVALID, "variables of the environment"),
        ("an option of pip", "--target /etc\n", INVALID, "not an option of a requirements file"),
        ("a short option of pip", "-t/etc\n", INVALID, "not an option of a requirements file"),
        ("a proxy", "--proxy http://a.example\n", INVALID, "not an option of a requirements file"),
        ("a version with a command", "six==$(id)\n", INVALID, "six==$(id)"),
        ("a version with backticks", "six==`id`\n", INVALID, "six==`id`"),
        ("a name with a quote", "six'\n", INVALID, "six'"),
        ("parentheses", "six; " + "(" * 500 + "\n", INVALID, "more than 20 parentheses"),
        ("a requirement without an end", "six; " + "python_version > '3' and " * 5_000, INVALID, "longer than 2000"),
        ("too many lines", "six\n" * 200_000, INVALID, "more than 10000 lines"),
        ("too many words", f"six=={'1.' * 900}1\n" * 500, INVALID, "more than 300,000 characters"),
        ("quotes without measure", "-i '" + "\\'" * 100_000, INVALID, "quotes in more than 10000 characters"),
        ("slashes without end", "-i https:" + "/" * 900_000, INVALID, "it names no host"),
        ("NUL", b"six\0\n", INVALID, "six"),
        ("UTF-32", "six\n".encode("utf-32"), INVALID, "requirement"),
        ("bytes at random", bytes(range(255, -1, -1)), "undecodable", "is not text in UTF-16"),
    ],
    "pyproject.toml": [
        ("lists nested 100,000 deep", "a = " + "[" * 100_000, INVALID, "nest"),
        ("tables nested 100,000 deep", "a = " + "{a = " * 100_000, INVALID, "nest"),
        ("keys nested 100,000 deep", ".".join("a" * 100_000) + " = 1", INVALID, "parts"),
        ("keys nested 600 deep", PROJECT + "[tool." + ".".join("a" * 600) + "]", INVALID, "more than 50 levels deep"),
        ("a table deep below one", PROJECT + "dependencies." + ".".join("a" * 900) + " = 1", INVALID, "50 levels"),
        ("a hundred thousand tables", "".join(f"[a{n}.b.c]\n" for n in range(50_000)), INVALID, "20,000 tables"),
        ("a million values", "a = [" + "1," * 450_000 + "]", INVALID, "300,000 values"),
        ("a key for the second time", "[a]\nb = 1\nb = 2\n", INVALID, "pyproject.toml:3"),
        ("a table for the second time", "[a]\n[a]\n", INVALID, "pyproject.toml:2"),
        ("a number of 100,000 digits", "a = " + "9" * 100_000, INVALID, "TOML expected"),
        ("NUL", b'a = "x\0y"\n', INVALID, "pyproject.toml:1"),
        ("UTF-16 without a mark", "a = 1\n".encode("utf-16-le"), INVALID, "pyproject.toml:1"),
        ("bytes at random", bytes(range(256)), "undecodable", "is not text in UTF-8"),
        ("far from its key", PROJECT + FAR, INVALID, "pyproject.toml:900004"),
        ("indexes", PROJECT + "[tool.uv]\nextra-index-url = [" + '"https://a.example",' * 60 + "]", INVALID, "50 in"),
        ("a dependency with a command", PROJECT + 'dependencies = ["six==$(id)"]', INVALID, "six==$(id)"),
        ("a Python with a line break", PROJECT + 'requires-python = ">=3\\nUSER 0"', INVALID, "a constraint on Python"),
        ("a source above", PROJECT + '[tool.uv.sources]\nx = {path = "../../etc"}', "path-outside", "../../etc"),
        ("a source that runs", PROJECT + '[tool.uv.sources]\nx = {git = "ext::sh -c id"}', INVALID, "none of https"),
        ("a secret", PROJECT + '[tool.uv.sources]\nx = {git = "https://a:s3cret@b.example"}', INVALID, "credentials"),
        ("no list of groups", PROJECT + '[dependency-groups]\ndev = "x"\n', "plan", ""),
        ("poetry: a thousand dependencies", POETRY + "".join(f'p{n} = "1"\n' for n in range(2_000)), INVALID, "1000"),
        ("poetry: a path above", POETRY + 'x = {path = "../../etc"}', "path-outside", "../../etc"),
        ("poetry: a transport that runs", POETRY + 'x = {git = "ext::sh"}', INVALID, "none of https"),
        ("poetry: a Python with a command", POETRY + 'python = "$(id)"', INVALID, "is no version constraint"),
        ("poetry: a secret", POETRY + 'x = {url = "https://a:s3cret@b.example"}', INVALID, "credentials"),
    ],
    "apt.txt": [
        ("an option", "-oAPT::x=y", INVALID, "lower-case letters"),
        ("a removal", "libc6-", INVALID, "lower-case letters"),
        ("a version", "gdal-bin=3", INVALID, "lower-case letters"),
        ("a command", "$(id)", INVALID, "lower-case letters"),
        ("a file", "./x.deb", INVALID, "lower-case letters"),
        ("a list without end", "\n".join(f"p{n}x" for n in range(100_000)), INVALID, "more than 1000"),
        ("NUL", b"gdal\0", INVALID, "lower-case letters"),
    ],
    "runtime.txt": [
        ("a command", "python-$(id)", INVALID, "not of the form python-3.10"),
        ("a line break", "python-3.10\x0bUSER 0", INVALID, "not of the form python-3.10"),
        ("other digits", "python-3.1\u0660", INVALID, "not of the form python-3.10"),
        ("a number without end", "python-3." + "1" * 900_000, INVALID, "not of the form python-3.10"),
        ("a Python of the future", "python-9999.9999", "python-unavailable", "is not available"),
    ],
    ".python-version": [
        ("a Python of the past", "2.7\n", "python-unavailable", "is not available"),
        ("Latin-1", "é\n".encode("latin-1"), "undecodable", "is not text in UTF-8"),
        ("a command", "$(id)\n", "plan", ""),
    ],
}  # fmt: skip

BESIDE = {name: {"requirements.txt": "six\n"} for name in ("apt.txt", "runtime.txt", ".python-version")}
ROWS = [(name, *row) for name, rows in DOCUMENTS.items() for row in rows]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a directory for each row, named by its number."""
    root = tmp_path_factory.mktemp("documents")
    for number, (name, _, document, *_) in enumerate(ROWS):
        for path, content in {**BESIDE.get(name, {}), name: document}.items():
            (root / str(number)).mkdir(exist_ok=True)
            (root / str(number) / path).write_bytes(content if isinstance(content, bytes) else content.encode())
    commit(root)
    return root


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[f"{name}-{title}" for name, title, *_ in ROWS])
def test_a_document_comes_to_a_plan_or_an_explanation(number: int, repository: Path, tmp_path: Path) -> None:
    _, _, _, code, words = ROWS[number]
    launchyard = Launchyard(tmp_path)
    if code == "plan":
        assert launchyard.json("plan", repository, f"--subdir={number}")["requested"] is not None
        return
    answer = refused(launchyard, "plan", repository, f"--subdir={number}")
    assert answer.code == code, answer.words
    assert words.lower() in answer.words.lower()
    assert "s3cret" not in answer.shown
    assert len(answer.words) < 2_000


def test_documents_are_explained_by_a_process_too(repository: Path) -> None:
    for title in ("aliases that explode", "lists nested 100,000 deep", "a tag that calls", "slashes without end"):
        number = next(n for n, row in enumerate(ROWS) if row[1] == title)
        done = command("plan", repository, f"--subdir={number}")
        assert done.returncode == 65, done.stderr
        assert ROWS[number][4].lower() in done.stderr.lower()
        assert "Traceback" not in done.stderr

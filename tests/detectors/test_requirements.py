from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.failures import explain
from detectors.failures import FileInvalid, ListOfAnother, Location, PathAbsent, PathOutside
from detectors.requirements import MAX_FILES, Requirements, parse, parse_lines
from detectors.source import MappingSource
from tests.detectors.asking import failure_of, survives, within_a_second

REPOSITORY = {
    "pyproject.toml": "",
    "lib/setup.py": "",
    "wheels/tides-1.0-py3-none-any.whl": "PK",
    "constraints.txt": "six<2\n",
    "more/base.txt": "attrs\n-r net.txt\n",
    "more/net.txt": "idna\n-r base.txt\n",
}


def read(text: str, directory: str = "", path: str = "requirements.txt") -> Requirements:
    return parse(MappingSource({**REPOSITORY, path: text}), path, directory)


def refused(text: str) -> FileInvalid:
    failure = failure_of(lambda: read(text))
    assert isinstance(failure, FileInvalid), failure
    return failure


def paths(requirements: Requirements) -> tuple[list[str], list[str]]:
    return [f.path for f in requirements.files], [t.path for t in requirements.trees]


@pytest.mark.parametrize(
    ("text", "requested"),
    [
        ("# why\nsix==1.16.0  # old\n\n", ["six==1.16.0"]),
        ("six \\\n  ==1.16.0 \\\n  ; python_version < '4'\nattrs\n", ["six ==1.16.0 ; python_version < '4'", "attrs"]),
        ("six \\\n# a comment ends it\nattrs\n", ["six", "attrs"]),
        ("six==1.16.0\\", ["six==1.16.0"]),
        ("six==1.16.0 --hash=sha256:ab --hash sha256:cd\n", ["six==1.16.0"]),
        ("requests[socks,security] >= 2, < 3\n", ["requests[socks,security] >= 2, < 3"]),
        ("a @ https://example.org/a-1.0.whl\n", ["a @ https://example.org/a-1.0.whl"]),
        ("git+https://example.org/a@v1#egg=a\n", ["git+https://example.org/a@v1#egg=a"]),
        ("https://example.org/a.zip ; python_version < '4'", ["https://example.org/a.zip ; python_version < '4'"]),
        ("-e git+https://example.org/a#egg=a\n", ["-e git+https://example.org/a#egg=a"]),
        ("http://[::1]:8080/a-1.0.whl", ["http://[::1]:8080/a-1.0.whl"]),
        ("a#b\n", []),
    ],
)
def test_requirements_in_their_own_words(text: str, requested: list[str]) -> None:
    if not requested:
        assert refused(text).location.line == 1
    else:
        assert list(read(text).requested) == requested


@pytest.mark.parametrize(
    ("text", "requested"),
    [
        ("-e .", "-e ."),
        ("--editable=.[dev]", "-e .[dev]"),
        ("-e lib", "-e ./lib"),
        ("lib/", "./lib"),
        ("./lib[plots] ; python_version < '4'", "./lib[plots]; python_version < '4'"),
        ("wheels/tides-1.0-py3-none-any.whl", "./wheels/tides-1.0-py3-none-any.whl"),
    ],
)
def test_local_paths_are_relative_to_the_directory(text: str, requested: str) -> None:
    assert read(text).requested == (requested,)


def test_local_paths_are_put_where_they_belong() -> None:
    files, trees = paths(read("-e .\n./lib\nwheels/tides-1.0-py3-none-any.whl\n"))
    assert files == ["requirements.txt", "wheels/tides-1.0-py3-none-any.whl"]
    assert trees == ["", "lib"]


def test_local_paths_of_a_file_elsewhere_start_at_the_project() -> None:
    result = read("-e lib\n-r ../more/base.txt\n", path="binder/requirements.txt")
    assert paths(result) == (["binder/requirements.txt", "more/base.txt", "more/net.txt"], ["lib"])
    assert result.lines == ("-e ./lib", "-r more/base.txt")


def test_files_in_a_circle_are_read_once() -> None:
    result = read("-r more/base.txt\n-rmore/net.txt\nsix\n")
    assert result.requested == ("attrs", "idna", "six")


def test_constraints_are_files_and_not_requested() -> None:
    result = read("-c constraints.txt\nsix\n")
    assert result.requested == ("six",)
    assert paths(result)[0] == ["requirements.txt", "constraints.txt"]
    assert [n.name for n in result.named] == ["six"]


def test_more_files_than_a_person_writes_are_refused() -> None:
    files = {f"{n}.txt": f"-r {n + 1}.txt\n" for n in range(MAX_FILES + 5)}
    assert isinstance(failure_of(lambda: parse(MappingSource(files), "0.txt", "")), FileInvalid)


def test_indexes_are_kept_and_told() -> None:
    result = read("--pre\n-i https://index.example.org/simple --extra-index-url=https://b.example.org\n-f wheels\n")
    assert result.indexes == (
        "--index-url https://index.example.org/simple",
        "--extra-index-url https://b.example.org",
        "--find-links wheels",
    )
    assert [w.message.partition(" ")[0] for w in result.warnings] == [
        "requirements.txt:2",
        "requirements.txt:2",
        "requirements.txt:3",
    ]
    assert paths(result)[1] == ["wheels"]


@pytest.mark.parametrize(
    ("text", "command", "line", "lines"),
    [
        ("# platform: linux-64\n_libgcc_mutex=0.1=main\nblas=1.0=mkl\n", "conda list --export", 2, 2),
        ("# platform: linux-64\n@EXPLICIT\nhttps://e.org/six-1.conda\n", "conda list --explicit", 2, 1),
        ("name: tides\nchannels:\n  - defaults\ndependencies:\n  - six\n", "conda env export", 1, 3),
        ("Package    Version\n---------- -------\nsix        1.16.0\n", "pip list", 1, 1),
        ("six\nanyio @ file:///tmp/build/anyio\nattrs @ file:///opt/conda/attrs\n", "pip freeze", 2, 2),
    ],
)
def test_what_another_command_prints_is_told_by_its_name(text: str, command: str, line: int, lines: int) -> None:
    failure = failure_of(lambda: read(text))
    assert isinstance(failure, ListOfAnother)
    assert (failure.command, failure.location.line, failure.lines) == (command, line, lines)
    assert failure.found == text.splitlines()[line - 1]


def test_address_behind_a_name_and_without_a_space_is_one_for_everybody() -> None:
    assert read("six@https://example.org/six.whl\n").requested == ("six@https://example.org/six.whl",)


@pytest.mark.parametrize(
    "text", ["-e git+git@example.org:ada/a.git@v1#egg=a", "git+ssh://git@example.org/ada/a.git@v1#egg=a"]
)
def test_address_for_who_has_a_key_is_told_the_one_for_everybody(text: str) -> None:
    assert "Write git+https://example.org/ada/a.git@v1#egg=a in line 1" in explain(refused(text)).fix[0]


def test_a_command_that_is_proposed_takes_a_files_name_for_a_name() -> None:
    name = "a; reboot.txt"
    failure = failure_of(lambda: parse(MappingSource({name: "Package    Version\nsix 1.16.0\n"}), name, ""))
    assert all("'a; reboot.txt'" in line for line in explain(failure).fix)


@pytest.mark.parametrize(
    "text",
    [
        "git+ssh://git@example.org/a.git",
        "git+file:///srv/a",
        "git://example.org/a",
        "file:///srv/a.whl",
        "file:./lib",
        "hg+https://example.org/a",
        "a @ git+ssh://git@example.org/a",
        "a @ ./lib",
        "-e svn+https://example.org/a",
        "--index-url ftp://example.org",
        "-f file:///srv",
        "https:///a.whl",
        "https://ho st/a.whl",
        "C:\\lib",
    ],
)
def test_url_that_a_build_cannot_reach_is_refused(text: str) -> None:
    assert refused(f"six\n{text}\n").location == Location("requirements.txt", 2)


@pytest.mark.parametrize(
    "text",
    [
        "--index-url https://robot:hunter2@example.org/simple",
        "--extra-index-url=https://hunter2@example.org/simple",
        "git+https://hunter2@example.org/a.git",
        "a @ https://robot:hunter2@example.org/a.whl",
        "https://robot:hun/ter2@example.org/a.whl",
        "--index-url https://robot:hunter2@${HOST}/simple",
        "-f https://robot:hunter2@example.org/",
        "six --hash=https://robot:hunter2@example.org/",
        "a @@ https://robot:hunter2@example.org/",
    ],
)
def test_credentials_are_refused_and_not_shown(text: str) -> None:
    failure = refused(text)
    assert "ter2" not in failure.found + failure.problem


@pytest.mark.parametrize(
    "text",
    [
        "six==${VERSION}",
        "two words",
        "six; python_version",
        "a;" + "(" * 1_500,
        "a" * 3_000,
        "--unknown",
        "-x",
        "--pre=yes",
        "-r",
        "--index-url=",
        "--hash=sha256:ab",
        "six -r more/base.txt",
        "six --hash=md6:ab",
        "six --hash=sha256:xyz",
        "six --pre",
        '-r "open',
        "-r https://example.org/r.txt",
        "./wheels",
        "-e wheels",
    ],
)
def test_line_that_says_nothing_known_is_refused(text: str) -> None:
    assert refused(text).location.line == 1


def test_single_equals_is_told_apart() -> None:
    assert "== is meant" in refused("numpy=1.26\n").problem


@pytest.mark.parametrize("text", ["../x", "-r ../x.txt", "-e /srv", "-c /etc/passwd", "-f ../wheels"])
def test_path_outside_the_repository_is_refused(text: str) -> None:
    failure = failure_of(lambda: read(text))
    assert isinstance(failure, PathOutside)
    assert failure.origin == Location("requirements.txt", 1)


@pytest.mark.parametrize("text", ["./no", "-r no.txt", "-c no.txt", "no-1.0.whl", "-f no"])
def test_path_that_is_not_there_is_refused_with_its_line(text: str) -> None:
    failure = failure_of(lambda: read(f"six\n{text}"))
    assert isinstance(failure, PathAbsent)
    assert failure.origin == Location("requirements.txt", 2)


def test_lines_of_another_file_keep_their_numbers() -> None:
    source = MappingSource({"more.txt": "idna\n"})
    result = parse_lines(source, "environment.yml", "", [(7, "six  ==1.16.0 # old"), (8, "-r more.txt")])
    assert result.lines == ("six ==1.16.0", "-r more.txt")
    failure = failure_of(lambda: parse_lines(source, "environment.yml", "", [(9, "a b")]))
    assert failure.location == Location("environment.yml", 9)


def test_ten_thousand_lines_are_read_within_bounds() -> None:
    assert isinstance(failure_of(lambda: read("--pre\n" * 30_000)), FileInvalid)


def test_long_line_of_options_is_read_in_linear_time() -> None:
    assert read("-c constraints.txt " * 20_000).requested == ()


@given(st.text())
@within_a_second
def test_any_text_is_read_or_fails_by_name(text: str) -> None:
    survives(lambda: read(text))


WORDS = ["six", "==", "1", ";", "-e", "-r", "-c", "-f", ".", "/", "lib", "@", "https://", "\\", "#", "\n"]
WORDS += ["[", "]", "'", '"', "$", "{", "}", "(", ")", "--hash=", ":"]


@given(st.lists(st.sampled_from(WORDS)))
@within_a_second
def test_any_words_of_the_format_are_read_or_fail_by_name(words: list[str]) -> None:
    survives(lambda: read(" ".join(words)))
    survives(lambda: read("".join(words)))


@given(st.binary())
@within_a_second
def test_any_bytes_are_read_or_fail_by_name(content: bytes) -> None:
    survives(lambda: parse(MappingSource({"requirements.txt": content}), "requirements.txt", ""))

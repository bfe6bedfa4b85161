"""Shared libraries that an environment needs and nothing provides."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detectors.asking import within_a_second
from tests.templates.conftest import TOOLS, load
from tests.templates.elf import ADDRESS, elf

libraries = load("libraries")
elf_reader = load("elf")
BITS, ORDER, MACHINE = elf_reader.kind_of(Path(sys.executable).read_bytes()[:64])
OTHER_MACHINE = 183 if MACHINE == 62 else 62


def native(*needed: str, **options: Any) -> bytes:
    """A shared object for the machine that runs this."""
    return elf(needed, **{"bits": BITS * 32, "order": ORDER, "machine": MACHINE, **options})


def module(name: str, *needed: str, **options: Any) -> bytes:
    """An extension module."""
    return native(*needed, exports=[f"PyInit_{name}"], **options)


class Prefix:
    """An environment's prefix, beside a system that has nothing but libc."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "env"
        self.system = directory / "system"
        self.site = self.root / "lib/python3.11/site-packages"
        self.site.mkdir(parents=True)
        self.put(self.system / "usr/lib/libc.so.6", b"")

    def put(self, path: Path, content: bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def install(self, package: str, files: dict[str, bytes]) -> None:
        """Install a package as installers do."""
        for name, content in files.items():
            self.put(self.site / name, content)
        record = "".join(f"{name},sha256=0,1\n" for name in files)
        self.put(self.site / f"{package.replace('-', '_')}-1.0.dist-info/RECORD", record.encode())

    def missing(self, **options: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = libraries.missing([str(self.root)], sysroot=str(self.system), **options)
        return found

    def names(self, **options: Any) -> list[str]:
        return [entry["library"] for entry in self.missing(**options)]


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return Prefix(tmp_path)


def test_library_that_nobody_provides_is_named_with_who_needs_it_and_debians_package(prefix: Prefix) -> None:
    prefix.install("opencv-python", {"cv2/cv2.abi3.so": module("cv2", "libGL.so.1", "libc.so.6")})
    prefix.install("tides", {"tides.so": module("tides", "libtide.so.2", "libc.so.6")})
    assert prefix.missing() == [
        {
            "library": "libGL.so.1",
            "packages": ["opencv-python"],
            "files": [str(prefix.site / "cv2/cv2.abi3.so")],
            "debian": "libgl1",
        },
        {"library": "libtide.so.2", "packages": ["tides"], "files": [str(prefix.site / "tides.so")], "debian": None},
    ]


def test_of_many_files_three_are_named_and_of_packages_all(prefix: Prefix) -> None:
    for name in ("d", "b", "a", "c"):
        prefix.install(f"lab-{name}", {f"{name}.so": module(name, "libX11.so.6")})
    (found,) = prefix.missing()
    assert found["packages"] == ["lab-a", "lab-b", "lab-c", "lab-d"]
    assert [Path(file).name for file in found["files"]] == ["a.so", "b.so", "c.so"]


def test_conda_package_is_known_by_its_record(prefix: Prefix) -> None:
    prefix.put(prefix.site / "tide.so", module("tide", "libGL.so.1"))
    record = {"name": "tides", "files": ["lib/python3.11/site-packages/tide.so"]}
    prefix.put(prefix.root / "conda-meta/tides-1.0-0.json", json.dumps(record).encode())
    assert [entry["packages"] for entry in prefix.missing()] == [["tides"]]


def test_file_that_conda_and_the_index_both_record_is_condas(prefix: Prefix) -> None:
    prefix.install("opencv-python", {"cv2.so": module("cv2", "libGL.so.1")})
    record = {"name": "py-opencv", "files": ["lib/python3.11/site-packages/cv2.so"]}
    prefix.put(prefix.root / "conda-meta/py-opencv-4-0.json", json.dumps(record).encode())
    assert [entry["packages"] for entry in prefix.missing()] == [["py-opencv"]]


# What provides a library


@pytest.mark.parametrize("directory", ["lib", "usr/lib", "lib64", f"usr/lib/{os.uname().machine}-linux-gnu"])
def test_library_in_a_directory_of_the_loaders_own_is_provided(prefix: Prefix, directory: str) -> None:
    prefix.install("tides", {"tides.so": module("tides", "libtide.so.2")})
    prefix.put(prefix.system / directory / "libtide.so.2", b"")
    assert prefix.names() == []


def test_library_in_the_loaders_cache_is_provided_while_its_file_is_there(prefix: Prefix) -> None:
    prefix.install("tides", {"tides.so": module("tides", "libtide.so.2", "libgone.so.1")})
    there = prefix.put(prefix.system / "opt/tide/libtide.so.2", b"")
    entries = b"glibc-ld.so.cache1.1\x02\0\0\0\x40\0/opt/tide/libtide.so.2\0/opt/tide/libgone.so.1\0"
    prefix.put(prefix.system / "etc/ld.so.cache", entries)
    assert prefix.names() == ["libgone.so.1"]
    there.unlink()
    assert prefix.names() == ["libgone.so.1", "libtide.so.2"]


def test_library_in_a_further_directory_is_provided(prefix: Prefix, tmp_path: Path) -> None:
    prefix.install("tides", {"tides.so": module("tides", "libpython3.11.so.1.0")})
    prefix.put(tmp_path / "python/libpython3.11.so.1.0", b"")
    assert prefix.names() == ["libpython3.11.so.1.0"]
    assert prefix.names(also=(str(tmp_path / "python"),)) == []


@pytest.mark.parametrize("option", ["rpath", "runpath"])
def test_library_where_the_file_itself_points_is_provided(prefix: Prefix, option: str) -> None:
    path = {option: "$ORIGIN/../nothing:/usr/lib/tide"}
    prefix.install("tides", {"tides.so": module("tides", "libtide.so.2", **path)})
    assert prefix.names() == ["libtide.so.2"]
    prefix.put(prefix.system / "usr/lib/tide/libtide.so.2", b"")
    assert prefix.names() == []


@pytest.mark.parametrize("name", ["tides.libs/libtide.so.2", "elsewhere/lib/libtide.so.2"])
def test_library_anywhere_in_the_environment_is_provided(prefix: Prefix, name: str) -> None:
    prefix.install("tides", {"tides.so": module("tides", "libtide.so.2"), name: native()})
    assert prefix.names() == []


def test_library_that_calls_itself_so_is_provided(prefix: Prefix) -> None:
    prefix.install(
        "tides", {"tides.so": module("tides", "libtide.so.2"), "preloaded.so": native(soname="libtide.so.2")}
    )
    assert prefix.names() == []


def test_link_to_a_library_provides_it_and_one_to_nothing_does_not(prefix: Prefix) -> None:
    prefix.install("tides", {"tides.so": module("tides", "libtide.so.2"), "libtide.so.2.0": native()})
    link = prefix.site / "libtide.so.2"
    link.symlink_to("libabsent.so")
    assert prefix.names() == ["libtide.so.2"]
    link.unlink()
    link.symlink_to("libtide.so.2.0")
    assert prefix.names() == []
    prefix.put(prefix.site / "libtide.so.2.0", native(machine=OTHER_MACHINE))
    assert prefix.names() == ["libtide.so.2"]


def test_second_name_of_one_file_provides_a_library_too(prefix: Prefix) -> None:
    prefix.install("tides", {"tides.so": module("tides", "libtide.so.2"), "a.so": native()})
    (prefix.site / "libtide.so.2").hardlink_to(prefix.site / "a.so")
    assert prefix.names() == []


@pytest.mark.parametrize("name", ["libcuda.so.1", "libnvidia-ml.so.1", "ld-linux-x86-64.so.2", "linux-vdso.so.1"])
def test_drivers_and_loaders_are_not_looked_for(prefix: Prefix, name: str) -> None:
    prefix.install("tides", {"tides.so": module("tides", name)})
    assert prefix.names() == []


# What needs a library


FOREIGN: list[dict[str, Any]] = [
    {"machine": OTHER_MACHINE},
    {"bits": 96 - BITS * 32},
    {"order": ">" if ORDER == "<" else "<"},
    {"abi": 9},
]


@pytest.mark.parametrize("options", FOREIGN)
def test_file_for_another_machine_needs_nothing_and_provides_nothing(prefix: Prefix, options: dict[str, Any]) -> None:
    prefix.install("foreign", {"foreign.so": module("foreign", "libGL.so.1", **options)})
    prefix.install("tides", {"tides.so": module("tides", "libtide.so.2"), "libtide.so.2": native(**options)})
    assert prefix.names() == ["libtide.so.2"]


@pytest.mark.parametrize("libc", ["libc.musl-x86_64.so.1", "libc.so", "libc.so.7"])
def test_file_for_another_c_library_is_no_part_of_the_environment(prefix: Prefix, libc: str) -> None:
    prefix.install("foreign", {"foreign.so": module("foreign", "libGL.so.1", libc)})
    assert prefix.names() == []


def test_library_that_a_module_needs_in_turn_counts(prefix: Prefix) -> None:
    files = {
        "cv2/cv2.abi3.so": module("cv2", "libQt5Gui-1a2b.so.5"),
        "opencv.libs/libQt5Gui-1a2b.so.5": native("libQt5Core-3c4d.so.5"),
        "opencv.libs/libQt5Core-3c4d.so.5": native("libgthread-2.0.so.0"),
    }
    prefix.install("opencv", files)
    assert prefix.names() == ["libgthread-2.0.so.0"]


def test_plugin_that_nothing_loads_by_itself_does_not_count(prefix: Prefix) -> None:
    files = {
        "PyQt5/QtSql.abi3.so": module("QtSql"),
        "PyQt5/plugins/libqsqlpsql.so": native("libpq.so.5"),
        "PyQt5/__init__.py": b"plugins = 'libqsqlpsql_extra'",
    }
    prefix.install("pyqt5", files)
    assert prefix.names() == []


def test_library_that_its_packages_code_loads_counts(prefix: Prefix) -> None:
    files = {
        "lightgbm/lib/lib_lightgbm.so": native("libgomp.so.1"),
        "lightgbm/libpath.py": b'path = here / "lib" / "lib_lightgbm.so"',
    }
    prefix.install("lightgbm", files)
    assert prefix.missing()[0]["packages"] == ["lightgbm"]


def test_library_for_a_framework_that_is_not_installed_does_not_count(prefix: Prefix) -> None:
    code = b"torch.ops.load_library(here / 'tide_torch.so')"
    prefix.install("tides", {"tide_torch.so": native("libtorch.so"), "tides.py": code})
    assert prefix.names() == []


def test_code_of_another_package_does_not_speak_for_a_library(prefix: Prefix) -> None:
    prefix.install("plugins", {"libplugin.so": native("libpq.so.5")})
    prefix.install("tides", {"tides.py": b"libplugin"})
    assert prefix.names() == []


def test_program_of_the_environment_counts(prefix: Prefix) -> None:
    program = prefix.put(prefix.root / "bin/tide", native("libX11.so.6"))
    assert prefix.names() == []
    program.chmod(0o755)
    assert prefix.missing() == [
        {"library": "libX11.so.6", "packages": [], "files": [str(program)], "debian": "libx11-6"}
    ]


def test_module_that_is_built_for_several_mpis_needs_one(prefix: Prefix) -> None:
    files = {
        "mpi4py/MPI.mpich.so": module("MPI", "libmpi.so.12"),
        "mpi4py/MPI.openmpi.so": module("MPI", "libmpi.so.40"),
    }
    prefix.install("mpi4py", files)
    assert prefix.names() == ["libmpi.so.12", "libmpi.so.40"]
    prefix.put(prefix.system / "usr/lib/libmpi.so.40", b"")
    assert prefix.names() == []


def test_standard_library_goes_without_what_it_cannot_load(prefix: Prefix) -> None:
    names = ["lib/python3.11/lib-dynload/_tkinter.so", "lib/python3.11/tkinter.py"]
    for name, content in zip(names, [module("_tkinter", "libtk8.6.so"), b"import _tkinter"], strict=True):
        prefix.put(prefix.root / name, content)
    prefix.put(prefix.root / "conda-meta/python-3.11.json", json.dumps({"name": "python", "files": names}).encode())
    assert prefix.names() == []
    prefix.put(prefix.site / "_tkinter.so", module("_tkinter", "libtk8.6.so"))
    assert prefix.names() == ["libtk8.6.so"]


def test_threading_layers_that_numba_goes_without_are_not_missing(prefix: Prefix) -> None:
    layer = {"numba/np/ufunc/tbbpool.so": module("tbbpool", "libtbb.so.12")}
    prefix.install("numba", layer)
    assert prefix.names() == []
    prefix.install("tides", {"tides.so": module("tides", "libtbb.so.12")})
    assert [entry["packages"] for entry in prefix.missing()] == [["tides"]]


# Files as nobody should make them


def test_what_is_no_regular_file_is_not_opened(prefix: Prefix) -> None:
    os.mkfifo(prefix.site / "libpipe.so")
    os.mkfifo(prefix.put(prefix.site / "pipe-1.0.dist-info/METADATA", b"").with_name("RECORD"))
    prefix.install("tides", {"tides.so": module("tides", "libpipe.so")})
    assert prefix.names() == ["libpipe.so"]


def test_no_link_is_followed_out_of_the_roots(prefix: Prefix, tmp_path: Path) -> None:
    outside = prefix.put(tmp_path / "outside/tides.so", module("tides", "libGL.so.1"))
    (prefix.site / "outside").symlink_to(outside.parent)
    (prefix.site / "tides.so").symlink_to(outside)
    (prefix.site / "up").symlink_to(prefix.root)
    assert prefix.names() == []


def test_links_in_a_ring_or_a_long_chain_provide_nothing(prefix: Prefix) -> None:
    (prefix.site / "libring.so").symlink_to("libring.so")
    for n in range(1_500):
        (prefix.site / f"libchain{n}.so").symlink_to(f"libchain{n + 1}.so")
    prefix.install("tides", {"tides.so": module("tides", "libring.so", "libchain0.so"), "libchain1500.so": native()})
    assert prefix.names() == ["libchain0.so", "libring.so"]


def test_directories_deeper_than_a_path_can_say_are_left_out(prefix: Prefix) -> None:
    prefix.install("tides", {"tides.so": module("tides", "libGL.so.1")})
    directory = os.open(prefix.site, os.O_RDONLY)
    for _ in range(1_200):
        os.mkdir("d" * 10, dir_fd=directory)
        below = os.open("d" * 10, os.O_RDONLY, dir_fd=directory)
        os.close(directory)
        directory = below
    os.close(directory)
    assert prefix.names() == ["libGL.so.1"]
    subprocess.run(["rm", "-r", str(prefix.site)], check=True)


@pytest.mark.parametrize(
    "record", [b"[" * 100_000, b'{"name": 1, "files": 2}', b"\xff", b'{"files": [1, "\\ud800", "a\\u0000b"]}']
)
def test_record_that_is_none_leaves_a_library_without_an_owner(prefix: Prefix, record: bytes) -> None:
    prefix.put(prefix.root / "conda-meta/odd.json", record)
    prefix.put(prefix.site / "odd-1.0.dist-info/RECORD", b"\0,,,\n../../../../../../etc/passwd,,\n" + record)
    prefix.put(prefix.site / "tides.so", module("tides", "libGL.so.1"))
    assert [entry["packages"] for entry in prefix.missing()] == [[]]


def test_names_that_could_steer_a_terminal_or_a_file_are_not_taken(prefix: Prefix) -> None:
    prefix.install("tides", {"tides.so": module("tides", "lib\x1b[31m.so", "../../etc/passwd", "", "lib tide.so")})
    assert prefix.names() == []
    prefix.put(prefix.site / os.fsdecode(b"odd.\xff.so"), module("odd", "libGL.so.1"))
    assert prefix.missing()[0]["files"] == [f"{prefix.site}/odd.\ufffd.so"]


def reader(content: bytes) -> Callable[[int, int], bytes]:
    return lambda size, offset: content[offset : offset + size]


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_elf_of_every_class_and_byte_order_is_read(bits: int, order: str) -> None:
    content = elf(
        ["libm.so.6", "libc.so.6"], soname="libtide.so.2", rpath="/a:/b", runpath="/c", bits=bits, order=order
    )
    found = elf_reader.parse(reader(content), (bits // 32, order, 62))
    assert (found.needed, found.soname) == (("libm.so.6", "libc.so.6"), "libtide.so.2")
    assert found.search == ("/a", "/b", "/c")


def test_names_at_an_address_that_is_not_loaded_are_not_read() -> None:
    content = elf(["libm.so.6"])
    beyond = content.replace(struct.pack("<QQ", 5, ADDRESS + 64 + 2 * 56 + 4 * 16), struct.pack("<QQ", 5, 2 * ADDRESS))
    assert beyond != content
    assert elf_reader.parse(reader(beyond), (2, "<", 62)) is None


def test_one_file_can_need_only_so_much() -> None:
    found = elf_reader.parse(reader(elf(["libtide.so"] * 3_000)), (2, "<", 62))
    assert len(found.needed) == elf_reader.MAX_NEEDED


@given(st.binary(max_size=2_000), st.booleans())
@within_a_second
def test_any_bytes_are_an_elf_or_none(content: bytes, headed: bool) -> None:
    content = elf()[:64] + content if headed else content
    found = elf_reader.parse(reader(content), (2, "<", 62))
    assert found is None or isinstance(found.needed, tuple)


@given(
    st.lists(st.tuples(st.integers(0, 600), st.sampled_from([0, 1, 0x7F, 0xFF]) | st.integers(0, 255)), max_size=30),
    st.integers(0, 700),
    st.sampled_from([32, 64]),
    st.sampled_from("<>"),
)
@within_a_second
def test_elf_with_bytes_changed_and_cut_off_is_read_within_bounds(
    changes: list[tuple[int, int]], end: int, bits: int, order: str
) -> None:
    content = bytearray(elf(["libm.so.6", "libc.so.6"], soname="libtide.so", rpath="/a:/b", bits=bits, order=order))
    for place, byte in changes:
        content[place % len(content)] = byte
    found = elf_reader.parse(reader(bytes(content[:end])), (bits // 32, order, 62))
    if found:
        assert len(found.needed) <= elf_reader.MAX_NEEDED
        assert all(len(name) <= elf_reader.MAX_NAME for name in found.needed)


@pytest.mark.parametrize("offset", [8 + 24, 64 + 8, 64 + 56 + 8, 64 + 56 + 32])
@pytest.mark.parametrize("value", [2**63 - 1, 2**63, 2**64 - 1])
def test_offsets_and_sizes_beyond_the_file_and_beyond_numbers_are_survived(
    prefix: Prefix, offset: int, value: int
) -> None:
    content = bytearray(elf(["libGL.so.1"], exports=["PyInit_tides"]))
    struct.pack_into("<Q", content, offset, value)
    prefix.install("tides", {"tides.so": bytes(content)})
    assert prefix.names(kind=(2, "<", 62)) in ([], ["libGL.so.1"])


def test_large_file_is_not_read_whole(prefix: Prefix) -> None:
    path = prefix.put(prefix.site / "libsparse.so", elf()[:64])
    os.truncate(path, 2**40)
    prefix.install("tides", {"tides.so": elf(["libGL.so.1"], exports=["PyInit_tides"])})
    assert prefix.names(kind=(2, "<", 62)) == ["libGL.so.1"]


# The machine's own


def test_modules_that_this_interpreter_has_loaded_lack_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "SHOWN_FILES", 1_000_000)
    loaded = {getattr(module, "__file__", None) or "" for module in list(sys.modules.values())}
    assert any("pydantic_core" in file for file in loaded)
    site = sysconfig.get_path("platlib")
    found = libraries.missing([site], also=(str(sysconfig.get_config_var("LIBDIR")),))
    assert [entry for entry in found if loaded & set(entry["files"])] == []


def test_on_a_system_without_libraries_a_real_module_lacks_libc(tmp_path: Path) -> None:
    assert pydantic_core.__file__
    found = libraries.missing([str(Path(pydantic_core.__file__).parent.parent)], sysroot=str(tmp_path))
    (libc,) = (entry for entry in found if entry["library"] == "libc.so.6")
    assert "pydantic-core" in libc["packages"]


# What is said


def entry(packages: list[str], debian: str | None) -> dict[str, Any]:
    return {"library": "libGL.so.1", "packages": packages, "files": ["/opt/env/lib/cv2.abi3.so"], "debian": debian}


@pytest.mark.parametrize(
    ("packages", "debian", "said"),
    [
        (["opencv"], "libgl1", "needed by opencv and nothing provides it: add the line libgl1 to apt.txt"),
        (list("abcde"), "libgl1", "needed by a, b, c and 2 more and nothing provides it: add the line libgl1 to"),
        ([], None, "needed by cv2.abi3.so and nothing provides it: add the Debian package that has it, if there"),
    ],
)
def test_warning_says_who_needs_what_and_what_to_add(packages: list[str], debian: str | None, said: str) -> None:
    ((code, message),) = libraries.problems([entry(packages, debian)])
    assert code == "library-missing"
    assert message.startswith(f"libGL.so.1 is {said}")


def test_libraries_of_one_debian_package_are_one_problem() -> None:
    lacking = [{**entry(["pyqt6"], "libqt5gui5"), "library": f"libQt5{part}.so.5"} for part in ("Core", "Gui")]
    other = {**entry(["opencv-python"], "libgl1"), "library": "libGL.so.1"}
    first, second = libraries.problems([lacking[0], other, lacking[1]])
    assert first[1].startswith("libQt5Core.so.5, libQt5Gui.so.5 are needed by pyqt6 and nothing provides them: add")
    assert second[1].startswith("libGL.so.1 is needed by opencv-python")


def test_table_names_each_library_once_and_the_well_known_ones() -> None:
    rows = [line.split() for line in (TOOLS / "libraries.txt").read_text().splitlines() if not line.startswith("#")]
    table = {library: package for library, package in rows}
    assert len(table) == len(rows) >= 60
    assert [library for library in table if not libraries.is_library(library)] == []
    well_known = {"libGL.so.1": "libgl1", "libgomp.so.1": "libgomp1", "libglib-2.0.so.0": "libglib2.0-0",
                  "libsndfile.so.1": "libsndfile1"}  # fmt: skip
    assert well_known.items() <= table.items()

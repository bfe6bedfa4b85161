"""Sessions from built images, started as a platform would start them: a bare container and a few variables."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.sessions import START_IS_OVER, START_RUNS
from tests.conftest import commit, git, write_repository
from tests.containers import BOUND, Container, answer, container, docker
from tests.images.conftest import ImageOf
from tests.images.serving import Answer, Request, git_daemon, serving, wheel

pytestmark = pytest.mark.engine

WORK = "/home/user/work"
BASE = "/deep/below/"
TOKEN = "letmein"
PLACE = {"LAUNCHYARD_BASE_PATH": BASE, "LAUNCHYARD_TOKEN": TOKEN}
SIX = "pip_utf16"
"""A fixture that is small: two packages without dependencies."""

CONDA = {
    "environment.yml": """\
channels: [conda-forge, nodefaults]
dependencies: [python=3.10, six]
variables:
  TIDE: "high $HOME and 'dry'"
""",
    # As packages of conda's do; the second line as those that nobody has tried without their variable.
    "postBuild": """\
#!/bin/sh
mkdir -p "$CONDA_PREFIX/etc/conda/activate.d"
cat > "$CONDA_PREFIX/etc/conda/activate.d/moon.sh" <<'SCRIPT'
export MOON=full
export BEFORE_ACTIVATION=$NEVER_SET_BY_ANYONE
SCRIPT
""",
}
OLD_PINS = {
    "requirements.txt": """\
jinja2==2.11.3
markupsafe==2.0.1
tornado==6.2
traitlets==4.3.3
jupyterlab_widgets==3.0.13
"""
}
BROKEN_LAB = {
    "requirements.txt": "./lab\n",
    "lab/pyproject.toml": """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "jupyterlab"
version = "4.0.0"
scripts = {jupyter-lab = "jupyterlab:main"}
""",
    "lab/jupyterlab.py": "def main():\n    raise SystemExit('no lab today')\n",
}


def run_terminal(session: Container, command: str, base: str = BASE, token: str = TOKEN) -> str:
    """What a command prints in a terminal that JupyterLab opens."""
    return _inside(session, "terminal", base, token, command)


def run_cell(session: Container, code: str, base: str = BASE, token: str = TOKEN) -> str:
    """What code prints on the kernel that JupyterLab starts."""
    return _inside(session, "cell", base, token, code)


def _inside(session: Container, act: str, base: str, token: str, what: str) -> str:
    script = Path(__file__).with_name("jupyter_inside.py").read_text()
    python = "/opt/launchyard/jupyterlab/bin/python"
    command = ["docker", "exec", "--interactive", session.id, python, "-"]
    done = subprocess.run(
        [*command, act, f"http://127.0.0.1:8888{base}", token, what],
        input=script,
        capture_output=True,
        text=True,
        timeout=BOUND + 10,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{session.logs()}"
    return done.stdout


def get_json(session: Container, path: str, token: str = TOKEN) -> Any:
    request = urllib.request.Request(session.url(path), headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(request, timeout=BOUND) as answered:
        return json.load(answered)


def variables_of_frontend(session: Container) -> dict[str, str]:
    """The environment of the process that tini has started."""
    found = session.run("sh", "-c", "cat /proc/$(ps -o pid= --ppid 1 | head -n 1 | tr -d ' ')/environ")
    return dict(line.split("=", 1) for line in found.split("\0") if line)


def wait_for_log(session: Container, pattern: str) -> re.Match[str]:
    deadline = time.monotonic() + BOUND
    while not (found := re.search(pattern, session.logs())):
        assert time.monotonic() < deadline, f"{pattern} is not said:\n{session.logs()}"
        time.sleep(0.05)
    return found


def seconds_to_end(session: Container) -> float:
    began = time.monotonic()
    docker("kill", "--signal=TERM", session.id)
    docker("wait", session.id)
    return time.monotonic() - began


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"launchyard-test-{uuid.uuid4().hex[:12]}"
    docker("volume", "create", name)
    yield name
    docker("volume", "rm", "--force", name)


class TestJupyterLab:
    def test_it_answers_below_its_base_path_to_the_token_alone(self, image_of: ImageOf) -> None:
        with container(image_of(SIX).reference, environ=PLACE) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            assert answer(session, f"{BASE}api/contents") == 403
            assert answer(session, f"{BASE}api/contents?token=guessed") == 403
            assert answer(session, f"{BASE}api/contents?token={TOKEN}") == 200
            assert answer(session, "/lab") == 404

    def test_without_any_variable_it_makes_a_token_and_says_the_address(self, image_of: ImageOf) -> None:
        with container(image_of(SIX).reference) as session:
            said = wait_for_log(session, r"http://127\.0\.0\.1:8888(/\?token=[0-9a-f]{48})\s")
            assert answer(session, "/api/contents") == 403
            assert answer(session, said[1].replace("/?", "/lab?")) == 200
        with container(image_of(SIX).reference) as second:
            assert wait_for_log(second, r"http://127\.0\.0\.1:8888(/\?token=[0-9a-f]{48})\s")[1] != said[1]

    def test_it_takes_the_place_of_the_start_script(self, image_of: ImageOf) -> None:
        with container(image_of(SIX).reference, environ=PLACE) as session:
            answer(session, f"{BASE}api")
            processes = [line.split(None, 2) for line in session.run("ps", "-e", "-o", "pid=,ppid=,args=").splitlines()]
        (init,) = [args for pid, _, args in processes if pid == "1"]
        (child,) = [args for _, parent, args in processes if parent == "1"]
        assert init.startswith("/usr/bin/tini ")
        assert "jupyter-lab" in child
        assert not [args for _, _, args in processes if args.startswith(("bash", "/bin/bash"))]

    def test_sigterm_ends_it_within_two_seconds(self, image_of: ImageOf) -> None:
        with container(image_of(SIX).reference, environ=PLACE) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            assert seconds_to_end(session) < 2

    def test_sigterm_ends_it_within_two_seconds_with_a_kernel_and_a_terminal_open(self, image_of: ImageOf) -> None:
        with container(image_of(SIX).reference, environ=PLACE) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            assert run_cell(session, "print(6 * 7)") == "42\n"
            assert run_terminal(session, "echo open") == "open\n"
            assert seconds_to_end(session) < 2

    def test_sigterm_ends_it_within_two_seconds_while_a_cell_computes(self, image_of: ImageOf) -> None:
        with container(image_of(SIX).reference, environ=PLACE) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            busy = "threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()"
            assert run_cell(session, f"import threading\nprint('computing', flush=True)\n{busy}") == "computing\n"
            assert seconds_to_end(session) < 2

    def test_old_pins_of_the_frontends_own_dependencies_do_not_reach_it(self, image_of: ImageOf) -> None:
        with container(
            image_of(OLD_PINS).reference, environ={**PLACE, "PYTHONPATH": "/opt/env/lib/python3.10/site-packages"}
        ) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            versions = run_cell(
                session,
                "import jinja2, tornado, traitlets; print(jinja2.__version__, tornado.version, traitlets.__version__)",
            )
            assert versions == "2.11.3 6.2 4.3.3\n"
            with urllib.request.urlopen(session.url(f"{BASE}lab?token={TOKEN}"), timeout=BOUND) as page:
                assert "@jupyter-widgets/jupyterlab-manager" in page.read().decode(), (
                    "extensions of the environment are offered"
                )

    def test_an_environment_whose_jupyterlab_is_broken_opens_in_the_sessions(self, image_of: ImageOf) -> None:
        with container(image_of(BROKEN_LAB).reference, environ=PLACE) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            chosen = json.loads(session.run("cat", "/opt/launchyard/environment/frontend.json"))
            assert chosen["jupyterlab"] == "session"
            assert "no lab today" in chosen["reason"]
            assert run_cell(session, "import jupyterlab; print(jupyterlab.__file__)").startswith("/opt/env/")

    def test_it_runs_without_privileges_and_cannot_write_to_the_images_environment(self, image_of: ImageOf) -> None:
        lock_down = ("--cap-drop=ALL", "--security-opt=no-new-privileges", "--pids-limit=200", "--memory=1g")
        with container(image_of(SIX).reference, environ=PLACE, options=lock_down) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            assert run_terminal(session, "id -u") == "1000\n"
            assert run_cell(session, "import os; print(os.getuid())") == "1000\n"
            writable = run_terminal(session, "find / -xdev -writable -not -type l -not -path '/proc/*' 2>/dev/null")
        outside = [
            path
            for path in writable.split()
            if not path.startswith(("/home/user", "/tmp", "/dev", "/var/tmp", "/run/lock"))
        ]
        assert outside == []

    def test_it_opens_on_a_root_file_system_that_is_read_only(self, image_of: ImageOf, volume: str) -> None:
        read_only = ("--read-only", "--tmpfs=/tmp", "--tmpfs=/home/user:uid=1000,gid=1000", f"--volume={volume}:{WORK}")
        with container(image_of(SIX).reference, environ=PLACE, options=read_only) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            assert run_cell(session, "import six; print(six.__version__)") == "1.16.0\n"


class TestInstallingInASession:
    def test_python_and_pip_of_a_terminal_are_the_environments(self, image_of: ImageOf) -> None:
        with container(image_of(SIX).reference, environ=PLACE) as session:
            answer(session, f"{BASE}api")
            assert run_terminal(session, "command -v python pip") == f"{WORK}/.venv/bin/python\n{WORK}/.venv/bin/pip\n"
            assert run_terminal(session, "python -c 'import six; print(six.__file__)'").startswith(
                "/opt/env/lib/python3.10/"
            )
            assert "(python 3.10)" in run_terminal(session, "pip --version")
            assert run_terminal(session, "bash -l -c 'command -v python'") == f"{WORK}/.venv/bin/python\n"

    def test_a_package_installed_in_a_terminal_is_in_the_next_session_of_the_work_directory_and_in_no_other(
        self, image_of: ImageOf, volume: str, tmp_path: Path
    ) -> None:
        image = image_of(SIX).reference
        name = "tide-1.0-py3-none-any.whl"
        (tmp_path / name).write_bytes(wheel("tide"))
        (tmp_path / "attrs-21.0-py3-none-any.whl").write_bytes(wheel("attrs", "21.0"))
        kept = (f"--volume={volume}:{WORK}",)
        with container(image, environ=PLACE, options=kept) as session:
            answer(session, f"{BASE}api")
            for file in tmp_path.iterdir():
                docker("cp", str(file), f"{session.id}:/tmp/{file.name}")
            said = run_terminal(session, "pip install --no-index /tmp/*.whl; echo ended with $?")
            assert "ended with 0" in said, said
            see = "import tide, attrs; print(tide.VERSION, attrs.VERSION)"
            assert run_cell(session, see) == "1.0 21.0\n"
            changed = docker("diff", session.id).splitlines()
            assert [line for line in changed if line[2:].startswith(("/opt", "/usr", "/etc"))] == []
        versions = "from importlib.metadata import version; print(version('tide'), version('attrs'), version('six'))"
        again = docker("run", "--rm", "--network=none", *kept, image, "python", "-c", versions)
        assert again == "1.0 21.0 1.16.0\n"
        other = docker("run", "--rm", "--network=none", image, "python", "-m", "pip", "list")
        assert "tide" not in other
        assert re.search(r"attrs +23\.2\.0", other)

    def test_a_virtual_environment_that_the_repository_brought_is_left_alone(
        self, image_of: ImageOf, volume: str
    ) -> None:
        image = image_of(SIX).reference
        kept = f"--volume={volume}:{WORK}"
        docker("run", "--rm", "--entrypoint=sh", kept, image, "-c", "mkdir .venv && echo mine > .venv/pyvenv.cfg")
        with container(image, environ=PLACE, options=(kept,)) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            wait_for_log(session, r"\.venv is not Launchyard's: it is left alone")
            assert run_terminal(session, "command -v python; cat .venv/pyvenv.cfg") == "/opt/env/bin/python\nmine\n"

    def test_another_image_on_the_same_work_directory_gets_a_new_one(self, image_of: ImageOf, volume: str) -> None:
        kept = f"--volume={volume}:{WORK}"
        docker("run", "--rm", kept, image_of(SIX).reference, "python", "-c", "0")
        prefix = docker(
            "run", "--rm", kept, image_of(CONDA).reference, "python", "-c", "import sys; print(sys.base_prefix)"
        )
        assert prefix == "/opt/conda/envs/env\n"


@pytest.fixture(scope="module")
def commits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A directory of repositories, and two commits of the one in it."""
    directory = tmp_path_factory.mktemp("served")
    first = git(write_repository(directory / "tides", {"tides.py": "HIGH = 1\n"}), "rev-parse", "HEAD")
    (directory / "tides" / "tides.py").write_text("HIGH = 2\n")
    return directory, first, commit(directory / "tides", "second")


class TestCloning:
    def test_the_commit_is_in_an_empty_work_directory(
        self, image_of: ImageOf, gateway: str, commits: tuple[Path, str, str]
    ) -> None:
        directory, first, second = commits
        with git_daemon(gateway, directory) as address:
            asked = {**PLACE, "LAUNCHYARD_REPOSITORY": f"{address}/tides"}
            with container(image_of(SIX).reference, environ={**asked, "LAUNCHYARD_COMMIT": first}) as session:
                answer(session, f"{BASE}api")
                seen = run_terminal(session, "git rev-parse HEAD; git status --short; cat tides.py")
                assert seen == f"{first}\nHIGH = 1\n"
            of_a_branch = {**asked, "LAUNCHYARD_COMMIT": second, "LAUNCHYARD_REF": "main"}
            with container(image_of(SIX).reference, environ=of_a_branch) as session:
                answer(session, f"{BASE}api")
                assert run_terminal(session, "git rev-parse HEAD; git branch --show-current") == f"{second}\nmain\n"

    def test_submodules_are_in_the_work_directory_as_well(
        self, image_of: ImageOf, gateway: str, tmp_path: Path
    ) -> None:
        write_repository(tmp_path / "charts", {"low.py": "LOW = 1\n"})
        whole = write_repository(tmp_path / "whole", {"high.py": "HIGH = 1\n"})
        with git_daemon(gateway, tmp_path) as address:
            git(whole, "submodule", "--quiet", "add", f"{address}/charts", "lib")
            asked = [f"--env=LAUNCHYARD_REPOSITORY={address}/whole", f"--env=LAUNCHYARD_COMMIT={commit(whole)}"]
            there = docker("run", "--rm", *asked, image_of(SIX).reference, "sh", "-c", "ls . lib")
        assert there.split() == [".:", "high.py", "lib", "lib:", "low.py"]

    def test_a_work_directory_with_something_in_it_is_left_alone(
        self, image_of: ImageOf, gateway: str, volume: str, commits: tuple[Path, str, str]
    ) -> None:
        directory, first, _ = commits
        image = image_of(SIX).reference
        kept = f"--volume={volume}:{WORK}"
        docker("run", "--rm", "--entrypoint=sh", kept, image, "-c", "echo mine > notes")
        with git_daemon(gateway, directory) as address:
            asked = [f"--env=LAUNCHYARD_REPOSITORY={address}/tides", f"--env=LAUNCHYARD_COMMIT={first}"]
            there = docker("run", "--rm", kept, *asked, image, "sh", "-c", "ls; cat notes")
        assert there == "notes\nmine\n"

    def test_a_session_clones_what_the_one_before_it_could_not(
        self, image_of: ImageOf, gateway: str, volume: str, commits: tuple[Path, str, str]
    ) -> None:
        directory, first, _ = commits
        image = image_of(SIX).reference
        with git_daemon(gateway, directory) as address:
            kept = [f"--volume={volume}:{WORK}", f"--env=LAUNCHYARD_REPOSITORY={address}/tides"]
            docker("run", "--rm", "--entrypoint=sh", kept[0], image, "-c", "mkdir -p .launchyard-clone/.git")
            without = docker("run", "--rm", *kept, f"--env=LAUNCHYARD_COMMIT={'0' * 40}", image, "ls", "-A")
            then = docker("run", "--rm", *kept, f"--env=LAUNCHYARD_COMMIT={first}", image, "ls", "-A")
        assert without.split() == [".venv", "CLONE-FAILED.txt"]
        assert then.split() == [".git", ".venv", "tides.py"]

    @pytest.mark.parametrize(
        ("absent", "words"),
        [
            ("git://{gateway}:9/tides", "Connection refused"),
            ("https://repository.invalid/tides", "Could not resolve host"),
            ("file:///nowhere", "does not appear to be a git repository"),
        ],
        ids=["nothing listens", "no such host", "no such path"],
    )
    def test_a_repository_that_cannot_be_cloned_opens_the_session_all_the_same_and_says_why_in_it(
        self, absent: str, words: str, image_of: ImageOf, gateway: str
    ) -> None:
        asked = {**PLACE, "LAUNCHYARD_REPOSITORY": absent.format(gateway=gateway), "LAUNCHYARD_COMMIT": "0" * 40}
        with container(image_of(SIX).reference, environ=asked) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            wait_for_log(session, "the repository could not be cloned; the session opens without it")
            shown = get_json(session, f"{BASE}api/contents")["content"]
            assert [file["name"] for file in shown] == ["CLONE-FAILED.txt"]
            assert words in run_terminal(session, "cat CLONE-FAILED.txt")

    def test_a_host_that_never_answers_does_not_keep_the_session_shut(self, image_of: ImageOf, gateway: str) -> None:
        with serving(gateway, lambda request: (401, "text/plain", b"")) as asks_for_a_password:
            asked = {**PLACE, "LAUNCHYARD_REPOSITORY": f"http://{asks_for_a_password.address}/tides"}
            with container(image_of(SIX).reference, environ=asked, options=("--tty",)) as session:
                assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
                wait_for_log(session, "the repository could not be cloned")


class TestJupyterHub:
    PREFIX = "/user/ada/"

    def environ(self, hub: str) -> dict[str, str]:
        """What DockerSpawner gives (jupyterhub.spawner.Spawner.get_env)."""
        return {
            "JUPYTERHUB_API_TOKEN": "of-the-hub",
            "JUPYTERHUB_API_URL": f"http://{hub}/hub/api",
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada",
            "JUPYTERHUB_HOST": "",
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": '["access:servers!server=ada/", "access:servers!user=ada"]',
            "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{self.PREFIX}oauth_callback",
            "JUPYTERHUB_SERVER_NAME": "",
            "JUPYTERHUB_SERVICE_PREFIX": self.PREFIX,
            "JUPYTERHUB_SERVICE_URL": f"http://0.0.0.0:8888{self.PREFIX}",
            "JUPYTERHUB_USER": "ada",
        }

    @staticmethod
    def hub(request: Request) -> Answer:
        ada = {"kind": "user", "name": "ada", "admin": False, "groups": [], "scopes": ["access:servers!user=ada"]}
        known = {"/hub/api": {"version": "5.2.1"}, "/hub/api/user": ada}
        if request.path == "/hub/api/user" and request.headers.get("Authorization") != "token of-ada":
            return 403, "application/json", b"{}"
        return 200, "application/json", json.dumps(known.get(request.path, {})).encode()

    @pytest.mark.parametrize("command", [(), ("jupyterhub-singleuser",)], ids=["by its variables", "by its command"])
    @pytest.mark.parametrize("fixture", [SIX, "pip_old_jupyterlab"])
    def test_its_hub_guards_it(self, fixture: str, command: tuple[str, ...], image_of: ImageOf, gateway: str) -> None:
        image = image_of(fixture).reference
        with (
            serving(gateway, self.hub) as hub,
            container(image, *command, environ=self.environ(hub.address)) as session,
        ):
            assert answer(session, f"{self.PREFIX}api") == 200
            assert answer(session, f"{self.PREFIX}api/contents") == 403
            assert get_json(session, f"{self.PREFIX}api/contents", token="of-ada")["content"] == []
            login = self.redirected(session, f"{self.PREFIX}lab")
            assert re.search(r"^[^?]*/hub/api/oauth2/authorize\?client_id=jupyterhub-user-ada&", login)
            assert f"--ServerApp.root_dir={WORK}" in session.run("ps", "-e", "-o", "args=")
            assert seconds_to_end(session) < 2

    @staticmethod
    def redirected(session: Container, path: str) -> str:
        class Stop(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *arguments: object) -> None:
                return None

        try:
            urllib.request.build_opener(Stop).open(session.url(path), timeout=BOUND)
        except urllib.request.HTTPError as answered:
            with answered:
                return str(answered.headers["Location"])
        raise AssertionError(f"{path} is open to everyone")


class TestRenku:
    def test_its_variables_say_where_the_session_is(self, image_of: ImageOf) -> None:
        environ = {
            "RENKU_BASE_URL_PATH": "/sessions/ada-1",
            "RENKU_SESSION": "1",
            "RENKU_SESSION_IP": "0.0.0.0",
            "RENKU_SESSION_PORT": "8877",
            "RENKU_MOUNT_DIR": "/home/user/mount",
            "RENKU_WORKING_DIR": "/home/user/mount/project",
        }
        base = "/sessions/ada-1/"
        with container(image_of(SIX).reference, environ=environ, options=("--publish=127.0.0.1::8877",)) as published:
            session = Container(published.id, int(docker("port", published.id, "8877/tcp").rpartition(":")[2]))
            assert answer(session, f"{base}lab") == 200, "its gateway guards it, so no token is asked for"
            assert get_json(session, f"{base}api/contents")["content"] == []
            assert variables_of_frontend(session)["VIRTUAL_ENV"] == "/home/user/mount/.venv"
            arguments = session.run("ps", "-e", "-o", "args=")
            assert "--ServerApp.root_dir=/home/user/mount/project" in arguments
            assert "--ip=0.0.0.0" in arguments

    def test_without_a_working_directory_the_mount_is_it(self, image_of: ImageOf) -> None:
        mounted = ("--env=RENKU_SESSION=1", "--env=RENKU_MOUNT_DIR=/home/user/mount")
        there = docker("run", "--rm", *mounted, image_of(SIX).reference, "sh", "-c", "pwd; command -v python")
        assert there == "/home/user/mount\n/home/user/mount/.venv/bin/python\n"


class TestHooks:
    def test_the_repositorys_start_runs_before_the_frontend_and_gives_way_to_it(self, image_of: ImageOf) -> None:
        with container(image_of("hooks_start").reference, environ=PLACE) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            assert variables_of_frontend(session)["TIDE"] == "high"
            assert run_cell(session, "import os; print(os.environ['TIDE'])") == "high\n"
            assert run_terminal(session, "echo $TIDE") == "high\n"
            said = [line for line in session.logs().splitlines() if "of the repository" in line]
            assert said == [START_RUNS, START_IS_OVER]


class TestConda:
    def test_variables_and_activation_scripts_reach_terminals_and_kernels(self, image_of: ImageOf) -> None:
        with container(image_of(CONDA).reference, environ=PLACE) as session:
            assert answer(session, f"{BASE}lab?token={TOKEN}") == 200
            assert run_terminal(session, 'echo "$TIDE, $MOON"') == "high $HOME and 'dry', full\n"
            assert (
                run_cell(session, "import os; print(os.environ['TIDE'], os.environ['MOON'])")
                == "high $HOME and 'dry' full\n"
            )
            assert run_terminal(session, "echo $CONDA_PREFIX $CONDA_DEFAULT_ENV") == "/opt/conda/envs/env env\n"

    def test_python_is_condas(self, image_of: ImageOf) -> None:
        with container(image_of(CONDA).reference, environ=PLACE) as session:
            answer(session, f"{BASE}api")
            where = "import sys, six; print(sys.base_prefix, six.__file__)"
            assert run_cell(session, where).startswith("/opt/conda/envs/env /opt/conda/envs/env/lib/python3.10/")
            assert run_terminal(session, f'python -c "{where}"').startswith("/opt/conda/envs/env ")
            assert "(python 3.10)" in run_terminal(session, "pip --version")

    def test_conda_itself_works_in_a_terminal(self, image_of: ImageOf) -> None:
        image = image_of(CONDA).reference
        if docker("run", "--rm", image, "sh", "-c", "ls /opt/conda/bin/conda 2>/dev/null || echo none") == "none\n":
            pytest.skip("no registry here has the conda program: the Miniconda base is a stand-in without it")
        with container(image, environ=PLACE) as session:
            answer(session, f"{BASE}api")
            assert re.search(r"^six +", run_terminal(session, "conda list"), re.MULTILINE)
            assert (
                run_terminal(session, "conda activate env && command -v python") == "/opt/conda/envs/env/bin/python\n"
            )


class TestWithoutAFrontend:
    @pytest.mark.parametrize(
        ("fixture", "command", "paths"),
        [
            (
                "pip_streamlit",
                (
                    "streamlit",
                    "run",
                    "app.py",
                    "--server.port=8888",
                    f"--server.baseUrlPath={BASE}",
                    "--server.headless=true",
                ),
                ("_stcore/health", ""),
            ),
            ("pip_dash", ("python", "app.py", "--port=8888", f"--base-path={BASE}"), ("_dash-layout", "")),
        ],
        ids=["streamlit", "dash"],
    )
    def test_a_dashboard_of_the_repository_is_reached_below_its_base_path(
        self,
        fixture: str,
        command: tuple[str, ...],
        paths: tuple[str, ...],
        image_of: ImageOf,
        gateway: str,
        tmp_path: Path,
    ) -> None:
        write_repository(tmp_path / "app", Path(__file__).parents[2] / "fixtures/repos" / fixture / "repository")
        with git_daemon(gateway, tmp_path) as address:
            environ = {"LAUNCHYARD_REPOSITORY": f"{address}/app"}
            with container(image_of(fixture, frontend="none").reference, *command, environ=environ) as session:
                assert [answer(session, BASE + path) for path in paths] == [200] * len(paths)
                assert seconds_to_end(session) < 2

    def test_without_a_command_it_says_that_one_is_needed(self, image_of: ImageOf) -> None:
        image = image_of("pip_dash", frontend="none").reference
        done = subprocess.run(["docker", "run", "--rm", image], capture_output=True, text=True, timeout=BOUND)
        assert done.returncode == 64
        assert "give the command to run" in done.stderr

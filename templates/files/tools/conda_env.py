"""Solve and install the conda part of an environment. Runs on the Python of the Miniconda base.

solve:    /request/request.json -> /made/lock/conda.lock (all that an installation needs),
          /made/lock/explicit.txt (the list that `conda create --file` takes)
install:  /made/lock/conda.lock -> $LAUNCHYARD_PREFIX
"""

import asyncio
import datetime
import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

sys.path.insert(0, "/tools/rattler")

import rattler
from channels import without_credentials
from conda_why import why
from rattler.exceptions import GatewayError, SolverError
from rattler.networking import Client
from rattler.package.build_string import BuildString

LOCK = Path("/made/lock/conda.lock")


async def solve(inputs: dict, subdir: str) -> int:
    configuration = rattler.ChannelConfig(channel_alias())
    asked = {text: spec(text, configuration) for text in inputs["specs"]}
    named = (text.rpartition("::")[0] for text in asked if "::" in text)
    channels = [rattler.Channel(name, configuration) for name in dict.fromkeys([*inputs["channels"], *named])]
    as_of = datetime.datetime.fromisoformat(inputs["as_of"].replace("Z", "+00:00")) if inputs["as_of"] else None
    gateway = rattler.Gateway(cache_dir="/cache/repodata", client=Client.default_client())

    async def answer(specs: list[str]) -> list[rattler.RepoDataRecord]:
        return await rattler.solve(
            channels,
            [asked.get(text) or rattler.MatchSpec(text) for text in specs],
            gateway=gateway,
            platforms=[subdir, "noarch"],
            virtual_packages=[virtual(name, value) for name, value in inputs["virtual_packages"].items()],
            channel_priority=rattler.ChannelPriority.Strict,
            exclude_newer=as_of,
            channel_relations="disabled",
        )

    try:
        records = await answer(inputs["specs"])
    except SolverError as error:
        print(f"conda cannot solve this environment:\n{error}", file=sys.stderr, flush=True)
        print(await why(asked, answer, gateway, channels, [subdir, "noarch"], as_of), file=sys.stderr)
        return 1
    platform = rattler.LockPlatform(subdir)
    lock = rattler.LockFile([platform])
    lock.set_channels("default", [rattler.LockChannel(channel.base_url) for channel in channels])
    for record in sorted(records, key=lambda record: record.name.normalized):
        lock.add_conda_package("default", platform, record)
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    lock.to_path(LOCK)
    lines = sorted(f"{record.url}#{record.md5.hex() if record.md5 else ''}".rstrip("#") for record in records)
    Path("/made/lock/explicit.txt").write_text("@EXPLICIT\n" + "".join(f"{line}\n" for line in lines))
    return 0


def spec(text: str, configuration: "rattler.ChannelConfig") -> "rattler.MatchSpec":
    """A spec whose channel, where it names one, is below the same address as the others are. By itself rattler takes
    it to be below its own default."""
    channel, _, package = text.rpartition("::")
    return rattler.MatchSpec(f"{rattler.Channel(channel, configuration).base_url}::{package}" if channel else text)


async def install() -> None:
    channel_alias()
    lock = rattler.LockFile.from_path(LOCK)
    (platform,) = lock.platforms()
    records = lock.default_environment().conda_repodata_records_for_platform(platform) or []
    await rattler.install(
        records,
        os.environ["LAUNCHYARD_PREFIX"],
        cache_dir="/cache/packages",
        platform=rattler.Subdir(platform.name),
        execute_link_scripts=True,
        show_progress=False,
        client=Client.default_client(),
    )
    for file in Path(os.environ["LAUNCHYARD_PREFIX"], "conda-meta").glob("*.json"):
        forget_credentials(file)


def forget_credentials(file: Path) -> None:
    """Take the token that an environment.yml gives in a channel's address out of a record of the environment."""
    record = json.loads(file.read_bytes())
    kept = {key: without_credentials(record[key]) for key in ("url", "channel") if record.get(key)}
    if not kept.items() <= record.items():
        file.write_text(json.dumps(record | kept, indent=2))


def channel_alias() -> str:
    """The address below which channels are named. A password or a token in it is handed to rattler apart: what
    a channel's address holds goes into the records of the environment.
    """
    alias = urlsplit(os.environ["LAUNCHYARD_CHANNEL_ALIAS"].rstrip("/") + "/")
    token = re.match(r"/t/([^/]+)(/.*)", alias.path)
    if alias.username is not None:
        known = {"BasicHTTP": {"username": unquote(alias.username), "password": unquote(alias.password or "")}}
    elif token:
        known = {"CondaToken": token[1]}
    else:
        return alias.geturl()
    credentials = Path("/dev/shm/credentials.json")  # in memory: a file of a step is kept by the build cache
    credentials.write_text(json.dumps({alias.hostname: known}))
    os.environ["RATTLER_AUTH_FILE"] = str(credentials)
    return alias._replace(netloc=alias.netloc.rpartition("@")[2], path=token[2] if token else alias.path).geturl()


def virtual(name: str, value: str) -> "rattler.GenericVirtualPackage":
    version, _, build = value.partition("=")
    return rattler.GenericVirtualPackage(rattler.PackageName(name), rattler.Version(version), BuildString(build or "0"))


def main() -> int:
    try:
        if sys.argv[1] == "solve":
            request = json.loads(Path("/request/request.json").read_bytes())
            return asyncio.run(solve(request["inputs"], request["conda_subdir"]))
        asyncio.run(install())
    except GatewayError as error:
        print(f"a conda channel cannot be read:\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: threads of rattler's outlive the interpreter, which ended in a segmentation fault once in ten times.
    os._exit(code)

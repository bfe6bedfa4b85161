"""Compile every module below the given directories to byte-code that is the same each time.

Unchecked-hash files, because times mean nothing in an image; marshalled twice, because the first
pass writes references as they happen to be counted (https://docs.python.org/3/library/marshal.html).
Runs on the Python whose byte-code it is, one process for each processor. With --new DIRECTORY in the place of
directories, modules are those among the paths on standard input, separated by NUL; what was compiled before, from
the same text at the same path, is taken from DIRECTORY, and what is written has no time. What lies below
/made/built is compiled for the path at which it will lie.
"""

import hashlib
import importlib._bootstrap_external as external
import importlib.util
import marshal
import os
import sys


def main():
    if not hasattr(importlib.util, "source_hash"):  # Python 3.6, whose byte-code has times: PEP 552
        return 0
    if sys.argv[1] == "--new":
        cache = os.path.join(sys.argv[2], f"{sys.implementation.cache_tag}-{importlib.util.MAGIC_NUMBER.hex()}")
        given = map(os.fsdecode, sys.stdin.buffer.read().split(b"\0"))
    else:
        cache = None
        walked = (place for root in sys.argv[1:] for place in os.walk(root))
        given = (os.path.join(directory, name) for directory, _, names in walked for name in names)
    named = (path for path in given if path.endswith(".py") and "/node_modules/" not in path)
    modules = sorted(filter(os.path.isfile, named))
    processors = os.cpu_count() or 1
    shares = [modules[n::processors] for n in range(processors)]
    children = [start(share, cache) for share in shares]
    codes = [os.waitpid(child, 0)[1] for child in children]
    return 1 if any(codes) else 0


def start(modules, cache):
    child = os.fork()
    if child:
        return child
    for path in modules:
        compile_one(path, cache)
    os._exit(0)


def compile_one(path, cache):
    with open(path, "rb") as file:
        source = file.read()
    target = importlib.util.cache_from_source(path)
    header = read(target, 16)
    if header and header[8:] == importlib.util.source_hash(source):
        return
    place = path[len("/made/built") :] if path.startswith("/made/built/") else path
    digest = hashlib.sha256(place.encode() + b"\0" + source).hexdigest()
    kept = cache and os.path.join(cache, digest[:2], digest)
    content = read(kept) if kept else None
    if content is None:
        content = compiled(place, source)
        if content is None:
            return
        if kept:
            write(kept, content)
    write(target, content)
    if cache:
        for changed in (target, os.path.dirname(target), os.path.dirname(path)):
            os.utime(changed, (0, 0))


def compiled(path, source):
    """None for what is no module of this Python: templates and other Pythons' files lie among many packages' own."""
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError):
        return None
    stable = marshal.loads(marshal.dumps(code))
    return bytes(external._code_to_hash_pyc(stable, importlib.util.source_hash(source), False))


def read(path, size=-1):
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except FileNotFoundError:
        return None


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    part = f"{path}.{os.getpid()}"
    with open(part, "wb") as file:
        file.write(content)
    os.replace(part, path)


if __name__ == "__main__":
    sys.exit(main())

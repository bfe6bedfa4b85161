"""Compile every module below the given directories to byte-code that is the same each time.

Unchecked-hash files, because times mean nothing in an image; marshalled twice, because the first
pass writes references as they happen to be counted (https://docs.python.org/3/library/marshal.html).
Runs on the Python whose byte-code it is, one process for each processor.
"""

import importlib._bootstrap_external as external
import importlib.util
import marshal
import os
import sys


def main():
    modules = sorted(path for root in sys.argv[1:] for path in find(root))
    processors = os.cpu_count() or 1
    shares = [modules[n::processors] for n in range(processors)]
    children = [start(share) for share in shares]
    codes = [os.waitpid(child, 0)[1] for child in children]
    return 1 if any(codes) else 0


def find(root):
    for directory, names, files in os.walk(root):
        names[:] = [name for name in names if name not in ("__pycache__", "node_modules")]
        for name in files:
            if name.endswith(".py"):
                yield os.path.join(directory, name)


def start(modules):
    child = os.fork()
    if child:
        return child
    for path in modules:
        compile_one(path)
    os._exit(0)


def compile_one(path):
    with open(path, "rb") as file:
        source = file.read()
    try:
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError):
        return  # templates and other Pythons' files lie among the modules of many packages
    stable = marshal.loads(marshal.dumps(code))
    content = bytearray(external._code_to_hash_pyc(stable, importlib.util.source_hash(source), False))
    target = importlib.util.cache_from_source(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with open(target, "wb") as file:
        file.write(content)


if __name__ == "__main__":
    sys.exit(main())

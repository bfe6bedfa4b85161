"""`python -m tests.refresh`: writes every golden file of fixtures/repos anew. Read the diff before committing it.

`python -m tests.refresh --failures [NAME ...]` writes the explanations of fixtures/failures, all or some; it needs
an engine, since they are those of builds that really fail.

`python -m tests.refresh --backup` writes the backup of this release's schema that later releases have to understand.
"""

from __future__ import annotations

import json
import sys

from tests.repositories import fixtures


def main(arguments: list[str]) -> int:
    """Returns how many fixtures came to the other kind of outcome; those keep what they have."""
    if arguments[:1] == ["--failures"]:
        from tests.failing import refresh

        return refresh(arguments[1:])
    if arguments[:1] == ["--backup"]:
        from tests.remembered import keep_backup

        print(keep_backup())
        return 0
    return plans()


def plans() -> int:
    turned = 0
    for fixture in fixtures():
        name, document = fixture.outcome()
        if fixture.golden.name != name:
            print(f"{fixture.name}: expected {fixture.golden.name}, came to {document}", file=sys.stderr)
            turned += 1
            continue
        fixture.golden.write_text(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
        if name == "plan.json":
            (fixture.directory / "Dockerfile").write_text(fixture.dockerfile())
    return turned


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""Identity: what makes two builds the same, and the names that follow from it.

Pure: no engine, no network, no clock; no address and no commit is part of it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.context import Context

SHORT = 12
"""Hex digits of a key or a lock's hash in a tag: 48 bits."""

LABEL = "io.launchyard."


def digest_of(context: Context, platform: str = "") -> str:
    """The SHA-256 of a context: 64 hex digits. Files of a repository count by the id of their blob and their mode."""
    parts = [
        (
            path,
            hashlib.sha256(content).hexdigest()
            if isinstance(content, bytes)
            else f"{content.kind} {content.executable} {content.blob}",
        )
        for path, content in sorted(context.files.items())
    ]
    return hashlib.sha256(json.dumps([context.dockerfile, platform, parts]).encode()).hexdigest()


def key_of(context: Context, platform: str) -> str:
    """The key of an environment's image: of the strategy, the Dockerfile with the references of its
    bases and frontend, the blobs that matter, the options that change content, and the platform."""
    return digest_of(context, platform)


def name_of(prefix: str, owner: str, slug: str) -> str:
    """An image's name without a tag. Owners have names apart, so that none moves another's tags."""
    return "/".join(part for part in (prefix, owner, slug) if part)


def immutable_tag(key: str, lock: str) -> str:
    """The tag that always means the same: of the key, and of what the lock came to."""
    return f"{key[:SHORT]}-{lock[:SHORT]}"


def movable_tags(key: str, commit: str) -> tuple[str, ...]:
    """Tags that follow: the newest build of a key, of a commit, of the repository."""
    worktree = "-worktree" if "+" in commit else ""
    return (key[:SHORT], f"sha-{commit[:SHORT]}{worktree}", "latest")

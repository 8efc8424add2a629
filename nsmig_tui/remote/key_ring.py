"""Private key files that need a passphrase: unlocked once, held in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh

from .secret import Secret, Secrets


class KeyRing:
    """The key pairs that were read in this process, by file."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._unlocked: dict[Path, list[Any]] = {}

    async def unlock(self, paths: Sequence[Path]) -> list[Any]:
        """The key pairs of these files, in order; passphrases are asked for."""
        pairs: list[Any] = []
        for path in paths:
            if path not in self._unlocked:
                self._unlocked[path] = await self._unlock_file(path)
            pairs += self._unlocked[path]
        return pairs

    async def _unlock_file(self, path: Path) -> list[Any]:
        """The key pairs of one file; none if it cannot be read or its passphrase is not known."""
        secret: Secret | None = None
        for attempt in range(3):
            try:
                passphrase = secret.reveal() if secret else None
                return list(await asyncio.to_thread(asyncssh.load_keypairs, [str(path)], passphrase))
            except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
                if secret is None and "passphrase" not in str(error).lower():
                    return []
                again = "Wrong. " if attempt else ""
                if secret:
                    self._secrets.forget("key", str(path), secret)
                secret = await self._secrets.get("key", str(path), f"{again}Passphrase of {path}: ")
                if secret is None:
                    return []
            except (OSError, ValueError):
                return []
        return []

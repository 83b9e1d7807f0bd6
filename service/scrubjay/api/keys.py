"""API keys: each belongs to one app, and only its SHA-256 is kept."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from scrubjay.errors import SettingsError

DEFAULT_APP = "default"
_ENTRY = re.compile(r"^(?P<app>[A-Za-z0-9_.-]{1,64}):(?P<digest>[0-9a-f]{64})$")


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """App ids by the digest of their key. A key has 256 random bits, so one plain hash is enough."""

    apps: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Self:
        """Read `app:sha256` entries; blank lines and `#` comments are skipped. Raises `SettingsError`."""
        apps = []
        for number, line in enumerate(lines, start=1):
            entry = line.split("#")[0].strip()
            if not entry:
                continue
            match = _ENTRY.match(entry)
            if not match:
                raise SettingsError(f"API key entry {number} is not app:sha256. Make one with: scrubjay key --app NAME")
            apps.append((match["app"], bytes.fromhex(match["digest"])))
        return cls(tuple(apps))

    def app_of(self, key: str) -> str | None:
        """Return the app of a key, or None. Takes the same time whichever entry matches."""
        digest = hashlib.sha256(key.encode(errors="replace")).digest()
        found = None
        for app, known in self.apps:
            if hmac.compare_digest(known, digest):
                found = app
        return found

    def __bool__(self) -> bool:
        return bool(self.apps)


def new_key(app: str) -> tuple[str, str]:
    """Return a new key and its `app:sha256` entry. Raises `SettingsError` for a bad app name."""
    key = f"sj_{secrets.token_urlsafe(32)}"
    entry = f"{app}:{hashlib.sha256(key.encode()).hexdigest()}"
    if not _ENTRY.match(entry):
        raise SettingsError("An app's name has 1 to 64 letters, digits, dots, dashes or underscores.")
    return key, entry

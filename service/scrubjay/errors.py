"""What can go wrong. A class's docstring is what the user reads; the HTTP status of each is in `api/problems.py`."""


class ScrubjayError(Exception):
    """Something went wrong."""


class InvalidInput(ScrubjayError):
    """A value is out of its bounds. `pointer` is a JSON pointer (RFC 6901) to it."""

    def __init__(self, message: str, *, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


class InvalidCursor(InvalidInput):
    """The cursor is not one that this list gave out. Start again without a cursor."""


class MemoryNotFound(ScrubjayError):
    """There is no such memory for this app and user."""


class Overloaded(ScrubjayError):
    """Too many requests wait for the store. Try again in a moment."""


class StoreError(ScrubjayError):
    """The store could not do what was asked."""


class StoreUnavailable(StoreError):
    """Milvus is away or did not answer in time. Try again in a moment."""


class StoreLocked(StoreError):
    """Another process owns this Milvus Lite folder. Talk to the service that runs on it, or stop that service."""


class CollectionDrift(StoreError):
    """The collection in Milvus is not the one that this configuration needs."""


class SettingsError(ScrubjayError):
    """The settings contradict each other."""

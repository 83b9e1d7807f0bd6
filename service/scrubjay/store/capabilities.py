"""What a Milvus server of a given version can do."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Detected once, when the store opens."""

    is_lite: bool
    version: tuple[int, int, int]

    @property
    def partition_hint(self) -> bool:
        """Lite alone takes partition names beside a partition key."""
        return self.is_lite

    @property
    def session_reads(self) -> bool:
        """Servers have consistency levels; Lite reads what it wrote."""
        return not self.is_lite

    @property
    def prunes_partitions(self) -> bool:
        """Before 2.4 an upsert goes to the partition of the id, not of the user (milvus PR 30772).

        A filter `user_id ==` then reads the user's partition only and misses what was updated.
        """
        return self.is_lite or self.version >= (2, 4, 0)

    @property
    def defect(self) -> str | None:
        """A known defect of this version that touches our data, in words, or None."""
        if self.is_lite:
            return None
        if self.version < (2, 3, 0):
            return "Milvus before 2.3 has no upsert. Upgrade to 3.0.1 or later."
        if self.version < (2, 4, 0):
            return (
                "Milvus before 2.4 keeps updated rows in the wrong partition. Reads avoid the fault, at a cost, but a "
                "later version would miss those rows: move to a new collection when you upgrade."
            )
        if (3, 0, 0) <= self.version < (3, 0, 1):
            return "Milvus 3.0.0 can lose partial updates and keep deleted rows visible. Upgrade to 3.0.1 or later."
        return None

    def __str__(self) -> str:
        return f"{'Milvus Lite' if self.is_lite else 'Milvus'} {'.'.join(map(str, self.version))}"


def detect(server_version: str, *, is_lite: bool) -> Capabilities:
    """Parse a version such as `v2.3.5-lite` or `milvus_lite-3.2.2`; what cannot be read counts as 0."""
    numbers = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", server_version)
    major, minor, patch = (int(part or 0) for part in numbers.groups()) if numbers else (0, 0, 0)
    return Capabilities(is_lite, (major, minor, patch))

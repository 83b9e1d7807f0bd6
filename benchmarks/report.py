"""The table that a run prints."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured, against what, and the bound that the ratio should keep (a text such as `<= 2.5`)."""

    what: str
    measured: str
    baseline: str = ""
    ratio: float | None = None
    bound: str = ""

    @property
    def kept(self) -> bool:
        if self.ratio is None or not self.bound:
            return True
        sign, limit = self.bound.split()
        return self.ratio <= float(limit) if sign == "<=" else self.ratio >= float(limit)

    def row(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = "" if not self.bound else ("yes" if self.kept else "NO")
        return f"| {self.what} | {self.measured} | {self.baseline} | {ratio} | {self.bound} | {verdict} |"


HEADER = "| what | measured | baseline | ratio | bound | kept |\n|---|---|---|---|---|---|"

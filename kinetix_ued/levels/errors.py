"""The one error that a bad level or level file gives."""

from __future__ import annotations

from collections.abc import Sequence


class LevelError(ValueError):
    """A level or level file that cannot be used: where, what is wrong, and what to do about it.

    Attributes:
        file: the file, or what stands for it.
        field: the field in the file's own terms, such as ``env_state.joint[2].a_index``; None for the whole file.
        problem: what is wrong with it.
        remedy: what to change.
    """

    def __init__(self, file: str, field: str | None, problem: str, remedy: str):
        super().__init__(file, field, problem, remedy)  # all four, so that the error can be pickled
        self.file, self.field, self.problem, self.remedy = str(file), field, problem, remedy

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.field, self.problem, self.remedy) if part)


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")

"""Reads the input of a workflow that hands its state from one link of its chain to the next."""

from typing import Any, ClassVar, Self

from .problems import Contract, Problem, read_only


class LinkInput(Contract):
    """The base of such inputs: a start from outside says whom the workflow serves, and only a link hands state on.

    Attributes:
        handed_on: the fields with that state; each is None in a start from outside.
    """

    handed_on: ClassVar[tuple[str, ...]]

    @classmethod
    def read(cls, args: tuple[Any, ...], *, continued: bool) -> Self | list[Problem]:
        """Reads the arguments of a start; anything but one fitting object is a list of problems.

        Args:
            args: all arguments.
            continued: whether an earlier link started this one, as the engine tells.
        """
        given = read_only(cls, args, "inputs")
        if isinstance(given, list) or continued:
            return given
        foreign = [name for name in cls.handed_on if getattr(given, name) is not None]
        problem = "only an earlier link of the same workflow may hand this on"
        return [Problem(field=name, problem=problem) for name in foreign] or given

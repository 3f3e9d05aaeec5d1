"""What is wrong with a resource that the schema of today would have refused."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_core import ErrorDetails

LONGEST_FOUND = 80  # characters; a certificate bundle must not flood an event


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: the path of the field, what was expected there and what was found."""

    field: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected}, found {self.found}"


class InvalidSpecError(ValueError):
    """A stored object breaks a rule, so nothing can be done until its spec is corrected.

    The API server refuses such an object today; it can only have been stored before the rule
    existed, or past the CRD. ``problems`` is never empty.
    """

    def __init__(self, resource: str, problems: Sequence[Problem]) -> None:
        self.resource = resource
        self.problems = tuple(problems)
        super().__init__(f"{resource}: {'; '.join(map(str, self.problems))}; correct the manifest")


def build_problem(error: ErrorDetails, under: str) -> Problem:
    """Turn one finding of pydantic into a Problem; ``under`` is the path of the checked part."""
    path = join_path((under, *error["loc"]))
    if error["type"] == "missing":
        return Problem(path, "a value", "nothing")
    return Problem(path, _expected(error["msg"]), _quote(error["input"]))


def join_path(parts: Sequence[str | int]) -> str:
    """Write a path as the API server does: ``spec.fields[2]``."""
    path = ""
    for part in parts:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _quote(found: object) -> str:
    """Show what was found, but of a text only line one: a key may have been pasted by mistake."""
    if isinstance(found, str) and "\n" in found:
        found = f"{found.partition(chr(10))[0]}…"
    text = repr(found)
    return text if len(text) <= LONGEST_FOUND else f"{text[: LONGEST_FOUND - 1]}…"


def _expected(message: str) -> str:
    """Strip what pydantic says before the expectation itself."""
    for opening in ("Input should be ", "String should ", "Value should "):
        if message.startswith(opening):
            return message.removeprefix(opening)
    return message

r"""``like`` and ``ilike`` (spec §2.8): ``%`` any run, ``_`` any one, ``\`` takes literally."""

from functools import lru_cache
from typing import Final

_ANY_RUN: Final = object()
_ANY_ONE: Final = object()


def matches_pattern(text: str, pattern: str, escape: str = "\\") -> bool:
    """Tell whether the whole of ``text`` fits, case and all; ``escape`` is one character.

    Takes at most len(text) times len(pattern) steps. A regular expression would be shorter, but one
    made from a stranger's ``%a%a%a%a`` takes exponential time.
    """
    steps = _parse_pattern(pattern, escape)
    at, step = 0, 0
    run_step, run_at = -1, 0  # the last "%" and where the text behind it was tried to begin
    while at < len(text):
        wanted = steps[step] if step < len(steps) else None
        if wanted is _ANY_RUN:
            run_step, run_at = step, at
            step += 1
        elif wanted is _ANY_ONE or (wanted is not None and wanted == text[at]):
            at, step = at + 1, step + 1
        elif run_step >= 0:
            run_at += 1
            at, step = run_at, run_step + 1
        else:
            return False
    return all(rest is _ANY_RUN for rest in steps[step:])


@lru_cache(maxsize=64)
def _parse_pattern(pattern: str, escape: str) -> tuple[object, ...]:
    steps: list[object] = []
    characters = iter(pattern)
    for character in characters:
        if character == escape:
            steps.append(next(characters, character))
        else:
            steps.append({"%": _ANY_RUN, "_": _ANY_ONE}.get(character, character))
    return tuple(steps)

"""The difference between two JSON objects as a merge patch (RFC 7396)."""

from collections.abc import Mapping
from typing import Any


def build_merge_patch(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Build the smallest patch that turns ``stored`` into ``wanted``; empty: they are equal.

    Lists are replaced whole, as the format demands.
    """
    patch: dict[str, Any] = {name: None for name in stored if name not in wanted}
    for name, value in wanted.items():
        before = stored.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = build_merge_patch(before, value)
            if inner:
                patch[name] = inner
        elif name not in stored or before != value:
            patch[name] = value
    return patch

"""Writes objects as YAML that kubectl reads as the same object. Pure.

kubectl takes some plain words for numbers and booleans that PyYAML would not, such as 1e3, 0o17
and y: a ConfigMap's text must stay a text.
"""

import re
from typing import Any, Final

import yaml

_BASE: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_AMBIGUOUS: Final = re.compile(r"^(?:[-+]?\.?[0-9][-+.:_0-9a-zA-Z]*|[yYnN])$")
_TEXT: Final = "tag:yaml.org,2002:str"


class _Dumper(_BASE):  # type: ignore[misc]
    """Quotes every text that some reader could take for something else."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True  # kubectl reads anchors, people do not


def _represent_text(dumper: Any, text: str) -> Any:  # noqa: ANN401 - PyYAML's types
    style = "'" if _AMBIGUOUS.match(text) else "|" if "\n" in text else None
    return dumper.represent_scalar(_TEXT, text, style=style)


_Dumper.add_representer(str, _represent_text)


def to_yaml(document: object) -> str:
    """Return ``document`` as one YAML document that ends with a line feed."""
    text: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text

"""The commands, and what ``--help`` says of each: no more, for reading it loads none of them."""

from typing import Final

SUMMARIES: Final[dict[str, str]] = {
    "serve": "serve the API",
    "archive": "look into archives, and restore, without an engine",
    "volumes": "look into repositories of volumes, and restore",
    "mover": "work on one volume, inside of a pod that the engine made",
    "hash-password": "hash a password for --users-file",
}

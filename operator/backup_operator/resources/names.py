"""The name under which a backup is requested."""

import re

from backup_api.backups import NAME_LENGTH

SHORT_UID = 8  # characters; namespace and name already tell most objects apart

_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]")


def derive_name(namespace: str, name: str, uid: str) -> str:
    """Build the backup name of an object that asks for none: ``ops.pre-upgrade.1b4e28ba``.

    The same object always gets the same name, and an object created anew another one. The result
    keeps to spec §3.2; a long namespace and name are cut, the uid never is.
    """
    ending = f".{_FOREIGN.sub('-', uid)[:SHORT_UID]}"
    readable = _FOREIGN.sub("-", f"{namespace}.{name}")[: NAME_LENGTH - len(ending)]
    return readable + ending

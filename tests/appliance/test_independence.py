"""The fake is a second reading of the spec, so it must share no code with the first."""

import ast
from pathlib import Path

import pytest

SOURCES = sorted(Path(__file__).parent.glob("*.py"))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_nothing_of_ours_is_imported(source: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])

    assert not {name for name in imported if name.startswith("backup_")}

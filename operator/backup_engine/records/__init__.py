"""The engine's state: tables, migrations, repositories."""

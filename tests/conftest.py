"""Fixtures that every folder of tests may use."""

pytest_plugins = [
    "fixtures.cluster",
    "fixtures.engine",
    "fixtures.appliance",
    "fixtures.operator_process",
]

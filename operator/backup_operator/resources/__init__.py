"""The custom resources as frozen models: what is read from a body, what is written to a status.

Pure: no cluster, no clock, no network. The schema of every kind is built from these models by
``backup_operator.crds``, so a rule stands here once and holds in both places.
"""

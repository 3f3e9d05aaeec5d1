"""The backup API as its servers speak it: wire models, code tables, paging and a client.

Imports nothing else of this project: the operator and the engine both stand on it.
"""

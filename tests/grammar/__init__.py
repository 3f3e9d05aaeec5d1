"""Strategies for what a server may be asked: valid by construction, and garbage that looks like it.

They read the shapes of the contract's models, so that a new member is tried out at once.
"""

"""A fake appliance: an independent, strict reading of the spec, for tests.

It shares no code with the programs under test, so that a mistake in theirs is not repeated here.
"""

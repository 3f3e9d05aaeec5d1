"""Observe, decide, apply: the loop that brings each object to where its spec asks it to be."""

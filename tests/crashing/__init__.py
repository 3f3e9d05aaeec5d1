"""An operator that dies at a chosen step: its edges are wrapped from outside.

Nothing in the operator knows of it. Between two requests an operator changes nothing but its own
memory, so dying before and after each request covers every await of the paths that are walked.
"""

"""What clients of the API do in several requests (spec §9).

Decisions are pure functions; waiting is done by a clock and a sleep that the caller hands in.
"""

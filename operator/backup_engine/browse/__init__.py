"""Looks into archives: what they hold, single objects, and what differs between two states."""

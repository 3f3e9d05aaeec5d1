"""HTTP: the order of checks, and one small function per endpoint (spec §14 "Order of checks")."""

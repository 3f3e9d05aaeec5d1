"""The command line over archives: it needs no engine, and but for restores no cluster."""

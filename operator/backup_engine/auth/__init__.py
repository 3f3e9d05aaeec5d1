"""Who is calling, and what they may do (spec §2.2, architecture §3)."""

"""Work behind the API: captures, removals, and the watch over stored archives."""

"""Starts, bounds, interrupts, kills and reaps child processes."""

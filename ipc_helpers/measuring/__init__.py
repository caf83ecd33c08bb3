"""Measures ways to hand a message to another process, side by side, each beside the limit of the machine."""

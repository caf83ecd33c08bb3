"""Turns checked parameters into a Result: a module for each experiment, and what they share."""

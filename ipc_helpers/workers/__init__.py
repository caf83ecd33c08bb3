"""The functions that child processes run: a module per chapter, the standard library alone.

A worker never prints (where a child's output ends up depends on the start
method and the platform): it returns facts, or sends them.
"""

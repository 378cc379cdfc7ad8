"""Measurements that are run by hand: each file prints one table and says in its docstring what it compares."""

"""Checks of the answers on which candidates disagree: `runs/exam/<name>/checks.parquet`.

Reads the candidates of a run; writes what could be found out about each answer afterwards: whether it keeps what the statement asks
for, whether the attempt's program prints it again, and what a model says. What a check is worth in a vote is vote's business.
"""

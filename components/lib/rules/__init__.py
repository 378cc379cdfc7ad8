"""Rules of a run as pure functions: when a question is over (early_stopping.py) and how long the next one may take (time_budget.py).

A live run and a replay of stored candidates ask the same functions. Nothing here knows engines, files or real time.
"""

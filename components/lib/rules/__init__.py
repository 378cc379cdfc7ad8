"""Rules of a sitting as pure functions: when a question is settled (stops.py) and how long the next one may take (clocks.py).

A live sitting and a replay of stored candidates ask the same functions. Nothing here knows engines, files or real time.
"""

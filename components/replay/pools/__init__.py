"""Pools that came from elsewhere: one small reader per format turns a folder of files into problems and candidate rows.

    python -m components.replay.pools qwen_math --source <folder> --out <folder>

A reader is a function `read(source) -> ImportedPool` in a file of its name. Only integers vote; letters, expressions and what is out of the
reader's range abstain with the reason, and a problem whose own answer is no integer is left out and counted.
"""

"""Graded candidates to training rows: `data/sft/<set>/examples.parquet`.

Reads the candidates of a sitting and its problems; keeps what a set's rules accept, as chat messages with the loss marked message by
message, and everything else in `dropped.parquet` with its reason.
"""

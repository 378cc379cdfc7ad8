"""Graded attempts to training rows: `data/sft/<set>/`, and a card about them in `data/cards/<set>/`.

Reads the attempts of a run, what a model said of them (annotate), and their problems; keeps what a set's rules accept, as chat messages
with the loss marked message by message (pairs for dpo, prompts with golds for grpo), and all else in `dropped.parquet`
with its reason.
"""

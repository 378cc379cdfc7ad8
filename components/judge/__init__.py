"""GenSelect: a model reads candidates and chooses one. `runs/exam-<model>/judgements.parquet`.

Reads the candidates of a sitting; writes every reading with what was shown, in which order, the raw verdict and what was made of it.
How the readings become an answer is vote's business.
"""

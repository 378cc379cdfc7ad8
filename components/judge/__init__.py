"""GenSelect: a model reads candidates and chooses one. `runs/exam/<name>/judgements.parquet`.

Reads the candidates of a run; writes every judgement with what was shown, in which order, the raw verdict and what was made of it.
How the judgements become an answer is vote's business.
"""

"""Kaggle's evaluation protocol: how a gateway asks an inference server one question, and how values travel.

The facts are those of the code that Kaggle ships with a competition (`kaggle_evaluation`, AIMO-2 of 2024): names, field numbers, codecs,
limits and error names. Both ends are here, so that our gateway can ask anybody's server and anybody's gateway can ask ours.
"""

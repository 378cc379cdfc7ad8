"""Training rows to a model: `models/<name>` for each entry of `models.train`, each from the model that it names.

Reads a set of chat messages whose loss is marked message by message, rows of an earlier set to rehearse, and the model to start
from; writes a model folder and the loss curve. TRL's only home.
"""

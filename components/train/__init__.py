"""Training rows to a model: `models/<stage>`, each stage from the one before.

Reads a set of chat messages whose loss is marked message by message, and the model to start from; writes a model folder and the loss
curve. TRL's only home.
"""

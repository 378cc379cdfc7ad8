"""The base model: `models/base`, one folder as any hub would give it (configuration, safetensors, tokenizer with chat template).

Reads nothing but its section: either a pinned revision is downloaded from a model hub, or a small model is made here from scratch:
tokenizer, architecture, and one pass over documents of arithmetic, so that the whole chain runs on two CPU cores and offline.
"""

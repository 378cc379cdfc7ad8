"""Models that are not trained here: `models/<name>`, as any hub would give one (configuration, safetensors, tokenizer with chat template).

Reads nothing but its entry of `models.fetch` or `models.import`: a pinned revision of a hub, a small model made from scratch, a GGUF file
turned into safetensors, or a reference to what lies in a folder or behind a server (lib/references.py).
"""

"""A trained model, smaller: `models/<name>` for each of `models.quantize` (AWQ: 4-bit weights, calibrated; FP8: 8-bit floats, no data).

Reads a model folder and training rows; writes a model folder that transformers and vLLM open, and how far its predictions moved.
The quantizers' pins exclude each other and ours, so each works in an environment of its own (infra/envs/<method>.txt) as a process.
"""

"""The last trained model, smaller: `models/awq` (4-bit weights, calibrated) and `models/fp8` (8-bit floats, no data).

Reads a model folder and TIR training rows; writes a model folder that transformers and vLLM open, and how far its predictions moved.
The quantizers' pins exclude each other and ours, so each works in an environment of its own (infra/envs/<method>.txt) as a process.
"""

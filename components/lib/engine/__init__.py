"""Engines behind one protocol: recorded replies, stored attempts, template teacher, transformers, any OpenAI-compatible server (vLLM)."""

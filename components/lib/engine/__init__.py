"""Engines behind one protocol: scripted, template teacher, transformers, and any OpenAI-compatible server (vLLM among them)."""

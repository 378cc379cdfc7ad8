"""Forum topics to problems with final answers: `data/extracted/problems.parquet`, and `dropped.parquet` with a reason for every loss.

Reads the topics that collect wrote and asks a language model, step by step, what NeMo-Skills' OpenMathReasoning pipeline asks: which
problems a topic holds, whether each is one that a single value answers, and which answer the discussion settles on. The model judges; it
never solves.
"""

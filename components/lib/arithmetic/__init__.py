"""Generated problems with integer answers, in ten families, together with their worked solutions.

They let the whole chain run on a small machine: a model made from scratch can learn them in minutes. Every number in a statement, a
working or an answer is at most 199, because the tokenizer of such a model holds each of 0..199 as one token. Does not know of files,
rows or models: a seed goes in, text comes out, the same text for the same seed.
"""

from components.lib.arithmetic.documents import Piece, document
from components.lib.arithmetic.families import FAMILIES, GeneratedProblem, problem, split_class
from components.lib.arithmetic.mistakes import misread
from components.lib.arithmetic.solutions import ToolSolution, cot_solution, tir_segments

__all__ = [
    "FAMILIES",
    "GeneratedProblem",
    "Piece",
    "ToolSolution",
    "cot_solution",
    "document",
    "misread",
    "problem",
    "split_class",
    "tir_segments",
]

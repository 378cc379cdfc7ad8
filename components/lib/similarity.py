"""How alike two texts are: the cosine of their vectors, which params.yaml says how to make.

`embedding` takes a model's mean-pooled states, as imagination-research (all-mpnet-base-v2) and NeMo-Skills (multi-qa-MiniLM-L6-cos-v1) do;
the model must be there. `tfidf` needs none: words weighed by how few of the texts use them. It sees wording, not meaning; a threshold
tuned on one does not carry over to the other.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from components.core.errors import UserError
from components.core.params import Settings
from components.core.watch import watched

Vectors = Callable[[Sequence[str]], Any]
"""From texts to their unit vectors [texts, dimensions], as an array or a sparse matrix."""
BATCH_SIZE = 32
"""Texts of one pass through an embedding model."""


class Tfidf(Settings):
    """TF-IDF vectors over words and signs."""

    by: Literal["tfidf"]

    def fitted(self, texts: Sequence[str]) -> Vectors:
        """Vectors with these texts' words and weights; other words have none."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        return TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", sublinear_tf=True).fit(texts).transform


class Embedding(Settings):
    """Mean-pooled embeddings of a local model's folder."""

    by: Literal["embedding"]
    model: str

    def fitted(self, texts: Sequence[str]) -> Vectors:
        import numpy as np
        import torch

        tokenizer, model = _opened(self.model)

        def vectors(some: Sequence[str]) -> Any:
            found = []
            with torch.inference_mode():
                for begin in range(0, len(some), BATCH_SIZE):
                    asked = tokenizer(list(some[begin : begin + BATCH_SIZE]), padding=True, truncation=True, return_tensors="pt")
                    states, mask = model(**asked).last_hidden_state, asked["attention_mask"].unsqueeze(-1)
                    means = (states * mask).sum(1) / mask.sum(1)
                    found.append(torch.nn.functional.normalize(means).numpy())
            return np.concatenate(found)

        return vectors


def cosines(ones: Any, others: Any) -> Any:
    """An array [ones, others] from two matrices of unit vectors."""
    product = ones @ others.T
    return product.toarray() if hasattr(product, "toarray") else product


_MODELS: dict[str, tuple[Any, Any]] = {}


def _opened(folder: str) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    if folder not in _MODELS:
        if not watched(Path(folder)).is_dir():
            raise UserError(f"params.yaml: by: embedding, model: {folder}: no such folder; put the model there, or write {{by: tfidf}}")
        _MODELS[folder] = (AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval())
    return _MODELS[folder]

"""How alike two solutions are, 0 to 1, as `similarity` of a DPO set names it: one function each.

imagination-research compares embeddings of all-mpnet-base-v2, which is a model and must be there. `tfidf` needs none: words weighed by how
few of the problem's own attempts use them. It sees wording, not meaning; a ratio tuned on one does not carry over to the other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from components.core.errors import UserError
from components.core.params import Settings

LONG, COMPARED = 10_000, 8_000
"""Of a text longer than the first, so many characters are compared (imagination-research, filter_dpo_data.py)."""


class Tfidf(Settings):
    """Cosine of TF-IDF vectors over words."""

    by: Literal["tfidf"]

    def of(self, one: str, others: Sequence[str]) -> list[float]:
        """The similarity of `one` to each of the others."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        texts = [_compared(text) for text in (one, *others)]
        vectors = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", sublinear_tf=True).fit_transform(texts)
        return [min(float(value), 1.0) for value in (vectors[1:] @ vectors[0].T).toarray().ravel()]


class Embedding(Settings):
    """Cosine of mean-pooled embeddings of a local model's folder."""

    by: Literal["embedding"]
    model: str

    def of(self, one: str, others: Sequence[str]) -> list[float]:
        """The similarity of `one` to each of the others."""
        import torch

        tokenizer, model = _opened(self.model)
        texts = [_compared(text) for text in (one, *others)]
        with torch.inference_mode():
            asked = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
            states, mask = model(**asked).last_hidden_state, asked["attention_mask"].unsqueeze(-1)
            means = (states * mask).sum(1) / mask.sum(1)
            return [float(value) for value in torch.cosine_similarity(means[:1], means[1:]).clamp(0, 1)]


def _compared(text: str) -> str:
    return text[:COMPARED] if len(text) > LONG else text


_MODELS: dict[str, tuple[Any, Any]] = {}


def _opened(folder: str) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    if folder not in _MODELS:
        if not Path(folder).is_dir():
            raise UserError(
                f"params.yaml: compose.*.rows.similarity.model: {folder}: no such folder; put the model there, or write {{by: tfidf}}"
            )
        _MODELS[folder] = (AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval())
    return _MODELS[folder]

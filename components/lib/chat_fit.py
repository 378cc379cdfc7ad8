"""Whether what belongs together fits: a chat template, the token that ends a turn, the way code is called, and the prompt that asks.

Reads a model folder's tokenizer, template and generation_config.json, never weights. Finds what is surely wrong (stop) and what seldom
works (warn); a model trained here on its own syntax needs no prompt that tells it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.core.errors import UserError
from components.core.preflight import Finding
from components.lib import prompts
from components.lib.tool_syntax import SyntaxName

ANSWER = "ANSWER"
MARKS: dict[SyntaxName, tuple[str, str]] = {
    "hermes": ("<tool_call>", '"arguments"'),
    "harmony": ("<|channel|>", "<|message|>"),
}
"""What a template of the family holds; the other two syntaxes are nobody's template's."""
FENCE = "```"


def syntax(template: str, name: SyntaxName, trained: bool) -> Finding:
    """`trained`: whether the model learned the project's own tags here."""
    speaks = [family for family, marks in MARKS.items() if all(mark in template for mark in marks)]
    if name in MARKS and name not in speaks:
        return Finding("stop", "tool syntax", f"{name}, but the model's chat template knows no {MARKS[name][0]}; write `syntax: fences`")
    if "harmony" in speaks and name != "harmony":
        return Finding("stop", "tool syntax", f"{name}, but the model's chat template is harmony's; write `syntax: harmony`")
    if name == "openmath" and not trained:
        return Finding("warn", "tool syntax", "openmath, which only models trained here have learned; lay the profile `fences` over it")
    return Finding("ok", "tool syntax", name)


def template(model: Path) -> str:
    """A folder's chat template; empty where there is none."""
    path = model / "chat_template.jinja"
    if path.exists():
        return path.read_text(encoding="utf-8")
    settings = model / "tokenizer_config.json"
    found = json.loads(settings.read_text(encoding="utf-8")).get("chat_template") if settings.exists() else None
    return found if isinstance(found, str) else ""


def end_of_turn(model: Path, arguments: Mapping[str, Any]) -> Finding:
    """Whether what the template writes after an answer begins with a token that ends generation."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=True)
    if not tokenizer.chat_template:
        return Finding("stop", "chat template", f"{model}: its tokenizer has none; add chat_template.jinja of an instruct model")
    chat = [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": ANSWER}]
    written = str(tokenizer.apply_chat_template(chat, tokenize=False, **arguments))
    _, found, tail = written.rpartition(ANSWER)
    if not found:
        return Finding(
            "stop", "end of turn", f"{model}: its chat template leaves out what an assistant said; take the model's own template"
        )
    ends = list(dict.fromkeys(_ends(model, tokenizer)))
    if tail.strip() and not tail.lstrip().startswith(tuple(ends)):
        return Finding(
            "stop", "end of turn",
            f"{model}: the template ends a turn with {tail.strip()[:20]!r}, generation ends at {' or '.join(ends)}, so an attempt runs on "
            "to its limit; set eos_token_id in generation_config.json, or take template and tokenizer of one model",
        )  # fmt: skip
    return Finding("ok", "end of turn", tail.strip()[:20] or (ends[0] if ends else "none"))


def _ends(model: Path, tokenizer: Any) -> Iterator[str]:
    """The tokens at which generation ends."""
    if tokenizer.eos_token:
        yield tokenizer.eos_token
    path = model / "generation_config.json"
    known = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id") if path.exists() else None
    for token in known if isinstance(known, list) else [known] if known is not None else []:
        yield tokenizer.convert_ids_to_tokens(token)


def box(names: Sequence[str], answer_source: str, trained: bool) -> Finding:
    """Whether anybody asks for the box that is read."""
    asked = [name for name in names if "boxed" in _text(name)]
    if answer_source.startswith("printed") or asked or trained:
        return Finding("ok", "box", "asked for" if asked else "learned in training" if trained else f"answers are {answer_source}")
    return Finding(
        "warn", "box", f"no prompt of {', '.join(names)} asks for \\boxed{{}}, which is what is read; take `recipes/plain/solve`"
    )


def call(names: Sequence[str], name: SyntaxName, trained: bool) -> Finding:
    """Whether a prompt says how to call code where no template does it and no training did."""
    if name != "fences" or trained or any(FENCE in _text(prompt) or "python" in _text(prompt).lower() for prompt in names):
        return Finding("ok", "prompt", ", ".join(names))
    return Finding("warn", "prompt", f"none of {', '.join(names)} says to write code in ```python fences; take `recipes/numina/code`")


def _text(name: str) -> str:
    try:
        return prompts.path(name).read_text(encoding="utf-8")
    except UserError:  # told by whoever checks that prompts are there
        return ""

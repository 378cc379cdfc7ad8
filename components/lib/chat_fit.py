"""Whether what belongs together fits: a chat template, the token that ends a turn, the way code is called, and the prompt that asks.

Reads a model folder's tokenizer, template and generation_config.json, never weights. Finds what is surely wrong (stop) and what seldom
works (warn); a model trained here on its own syntax needs no prompt that tells it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from components.core.errors import UserError
from components.core.preflight import Finding
from components.lib import prompts
from components.lib.engine.chat_template import template_of
from components.lib.tool_syntax import SYNTAXES, TEMPLATE_MARKS, SyntaxName, knows, recognise

ANSWER = "ANSWER"
FENCE = "```"


def syntax(template: str, name: SyntaxName | Literal["auto"], trained: bool) -> Finding:
    """`trained`: whether the model learned the project's own tags here."""
    speaks = recognise(template)
    asked = speaks if name == "auto" else name
    if asked in TEMPLATE_MARKS and not knows(template, asked):
        return Finding("stop", "tool syntax", f"{name}, but the model's chat template knows no such call; write `syntax: {speaks}`")
    if speaks == "harmony" and asked != "harmony":
        return Finding("stop", "tool syntax", f"{name}, but the model's chat template is harmony's; write `syntax: harmony`")
    if trained and SYNTAXES[asked].call != "tags":
        return Finding("warn", "tool syntax", f"{asked}, but what is trained here has learned openmath; write `syntax: openmath`")
    if name == "auto":
        return Finding("ok", "tool syntax", f"{speaks}, by the chat template")
    if name == "openmath" and not trained:
        return Finding("warn", "tool syntax", "openmath, which only models trained here have learned; lay the profile `fences` over it")
    return Finding("ok", "tool syntax", name)


def template(model: Path) -> str:
    """A folder's chat template; empty where there is none."""
    try:
        return template_of(model)
    except UserError:  # told by `end_of_turn`
        return ""


def end_of_turn(model: Path, arguments: Mapping[str, Any]) -> Finding:
    """Whether what the template writes after an answer begins with a token that ends generation; `arguments` are the template's own.

    Renders as transformers does, without loading the tokenizer, which takes seconds.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    written, settings = template(model), _json(model / "tokenizer_config.json")
    if not written:
        return Finding("stop", "chat template", f"{model}: its tokenizer has none; add chat_template.jinja of an instruct model")
    marks = {name: _text_of(settings.get(name)) for name in ("bos_token", "eos_token", "pad_token")}
    chat = [{"role": "user", "content": "QUESTION"}, {"role": "assistant", "content": ANSWER}]
    rendered, _ = render_jinja_template([chat], chat_template=written, **marks, **arguments)
    _, found, tail = rendered[0].rpartition(ANSWER)
    if not found:
        return Finding(
            "stop", "end of turn", f"{model}: its chat template leaves out what an assistant said; take the model's own template"
        )
    ends = list(dict.fromkeys(filter(None, [marks["eos_token"], *_ends(model, settings)])))
    if tail.strip() and not tail.lstrip().startswith(tuple(ends)):
        return Finding(
            "stop", "end of turn",
            f"{model}: the template ends a turn with {tail.strip()[:20]!r}, generation ends at {' or '.join(ends)}, so an attempt runs on "
            "to its limit; set eos_token_id in generation_config.json, or take template and tokenizer of one model",
        )  # fmt: skip
    return Finding("ok", "end of turn", tail.strip()[:20] or (ends[0] if ends else "none"))


def _ends(model: Path, settings: Mapping[str, Any]) -> Iterator[str]:
    """The tokens at which generation_config.json ends a generation."""
    known = _json(model / "generation_config.json").get("eos_token_id")
    wanted = known if isinstance(known, list) else [] if known is None else [known]
    added = {int(number): token for number, token in settings.get("added_tokens_decoder", {}).items()}
    if not added and wanted:
        added = {token["id"]: token for token in _json(model / "tokenizer.json").get("added_tokens", [])}
    yield from (str(added[number]["content"]) for number in wanted if number in added)


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def _text_of(token: Any) -> str:
    """A token of tokenizer_config.json: text, or a mapping with its content."""
    return str(token["content"] if isinstance(token, Mapping) else token or "")


def box(names: Sequence[str], answer_source: str, trained: bool) -> Finding:
    """Whether anybody asks for the box that is read."""
    asked = [name for name in names if "boxed" in _text(name)]
    if answer_source.startswith("printed") or asked or trained:
        return Finding("ok", "box", "asked for" if asked else "learned in training" if trained else f"answers are {answer_source}")
    return Finding(
        "warn", "box", f"no prompt of {', '.join(names)} asks for \\boxed{{}}, which is what is read; take `recipes/plain/solve`"
    )


def call(names: Sequence[str], name: SyntaxName | Literal["auto"], trained: bool) -> Finding:
    """Whether a prompt says how to call code where no template does it and no training did."""
    if name != "fences" or trained or any(FENCE in _text(prompt) or "python" in _text(prompt).lower() for prompt in names):
        return Finding("ok", "prompt", ", ".join(names))
    return Finding("warn", "prompt", f"none of {', '.join(names)} says to write code in ```python fences; take `recipes/numina/code`")


def _text(name: str) -> str:
    try:
        return prompts.path(name).read_text(encoding="utf-8")
    except UserError:  # told by whoever checks that prompts are there
        return ""

"""What is looked at before a run: its files, its engine's environment and flags, GPUs, memory, context, and how model and prompts fit.

`aimo check` asks for all runs of params.yaml, with the models that are there; the stage for its own, before it loads anything.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from components.core import rows
from components.core.errors import UserError
from components.core.hardware import Gpus
from components.core.machine import LOCAL
from components.core.models import Exam, Models
from components.core.params import PARAMS
from components.core.preflight import Facts, Finding
from components.core.types import Problem
from components.lib import chat_fit, model_folder, prompts
from components.lib.engine import preflight as engine_preflight
from components.lib.engine.config import EngineHosts, Engines
from components.lib.engine.preflight import Load
from components.lib.model_folder import ModelFolder
from components.lib.sandbox.local import SandboxCapacity, SandboxConfig
from components.solve.exam_run import Solve

STATEMENT_TOKENS = 2200
"""Of the longest problem, where none can be counted: of AIME 1983-2025 it has 2,161 in Qwen's vocabulary."""
TEMPLATE_TOKENS = 100
"""Of a chat template around a prompt, with a default system message."""


class Run(NamedTuple):
    """One run, and the sections that it reads."""

    config: Solve
    engines: Engines
    hosts: EngineHosts
    sandbox: SandboxConfig
    capacity: SandboxCapacity
    kind: str
    """Of its engine."""
    model: ModelFolder
    problems: Path | None


def check(facts: Facts) -> Iterator[Finding]:
    """All runs of params.yaml."""
    try:
        named = list(_runs(facts))
    except UserError as error:
        yield Finding("stop", "settings", str(error))
        return
    for name, run in named:
        for found in [*needs(run, facts.root), *fits(run, facts.gpus), *_command_line(run, facts)]:
            yield found._replace(whose=name)


def needs(run: Run, root: Path = Path()) -> Iterator[Finding]:
    """The files and sessions of a run."""
    config, wanted = run.config, run.config.plan.max_concurrency * run.config.max_concurrent_questions
    if wanted > run.capacity.max_sessions:
        yield Finding(
            "stop", "sessions",
            f"{LOCAL}: sandbox.max_sessions is {run.capacity.max_sessions}, but {config.max_concurrent_questions} questions with up to "
            f"{config.plan.max_concurrency} attempts alive hold up to {wanted} sessions; raise it, or lower max_concurrent_questions",
        )  # fmt: skip
    missing = [name for name in config.plan.prompts if not (prompts.FOLDER / f"{name}.md").is_file()]
    if missing:
        yield Finding("stop", "prompts", f"components/lib/prompts/{missing[0]}.md: no such prompt; there are: {', '.join(prompts.names())}")
    if config.time_budget.kind == "tokens" and not (root / config.time_budget.model).is_file():
        yield Finding(
            "stop", "time budget",
            f"{config.time_budget.model}: no such file; `python -m components.lib.rules.length_model --problems ... --candidates ... "
            f"--out {config.time_budget.model}` learns it",
        )  # fmt: skip


def fits(run: Run, gpus: Gpus) -> Iterator[Finding]:
    """How engine, machine, model and prompts go together; nothing where an engine's replies are made up or recorded."""
    if run.kind not in ("transformers", "server"):
        return
    if run.model.path is None:
        yield Finding(
            "warn", "model", f"models/{run.model.root} is not here yet, so memory, template and tool syntax are not looked at; "
            f"`dvc repro fetch@{run.model.root}`, then check again",
        )  # fmt: skip
    yield from engine_preflight.check(run.kind, run.engines, run.hosts, run.model, _load(run), gpus)
    if run.model.path is not None:
        yield from _chat(run, run.model.path)


def _runs(facts: Facts) -> Iterator[tuple[str, Run]]:
    params, path = facts.params, facts.root / PARAMS
    models, solve = Models.check(params, path), params["solve"]
    asked = [(f"solve.{name}", name, solve[name].get("model")) for name in solve if isinstance(solve[name].get("model"), str)]
    asked += [(f"exam.{name}", who.solve, who.model) for name, who in Exam.check(params, path).examinees.items()]
    for name, key, model in asked:
        config, found = Solve.check(params, path, key), model_folder.find(models, model, facts.root)
        problems = facts.root / "data/problems" / ("exam.parquet" if name.startswith("exam") else f"{_problems(key)}.parquet")
        yield name, Run(
            config, Engines.check(params, path), EngineHosts.check(facts.machine, LOCAL), SandboxConfig.check(params, path),
            SandboxCapacity.check(facts.machine, LOCAL), _kind(config, params, found), found, problems if problems.exists() else None,
        )  # fmt: skip


def _problems(key: str) -> str:
    """As dvc.yaml has it."""
    return "train" if key == "teacher" else "practice"


def _kind(config: Solve, params: Mapping[str, Any], model: ModelFolder) -> str:
    """The kind of engine, also of a model that is not quantized yet."""
    served = params["models"]["import"].get(model.root, {}).get("kind") == "server"
    method = params["models"]["quantize"].get(model.name, {}).get("method")
    return "server" if served else config.engine_by_format.get(str(method), config.engine)


def _load(run: Run) -> Load:
    config, sandbox = run.config, run.sandbox
    counted = _longest(run.problems, run.model.path) if run.problems and run.model.path else None
    return Load(
        config.plan.max_concurrency * config.max_concurrent_questions,
        (STATEMENT_TOKENS if counted is None else counted) + TEMPLATE_TOKENS,
        config.max_tokens,
        config.max_executions * sandbox.output_chars,
        counted is not None,
    )


def _longest(problems: Path, model: Path) -> int | None:
    """Tokens of the longest statement, of which the longest texts are counted; None where the tokenizer has another form."""
    if not (model / "tokenizer.json").is_file():
        return None
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    texts = sorted((problem.statement for problem in rows.read(problems, Problem)), key=len)[-20:]
    return max((len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts), default=0)


def _chat(run: Run, model: Path) -> Iterator[Finding]:
    config, asked = run.config, run.config.plan.prompts
    yield chat_fit.end_of_turn(model, run.engines.server.chat_template_kwargs if run.kind == "server" else {})
    yield chat_fit.syntax(chat_fit.template(model), config.syntax, run.model.trained)
    yield chat_fit.box(asked, config.answer_source, run.model.trained)
    yield chat_fit.call(asked, config.syntax, run.model.trained)


def _command_line(run: Run, facts: Facts) -> Iterator[Finding]:
    """Not in the stage: the server that it starts parses the same words."""
    if run.kind == "server" and not run.hosts.server.urls and run.model.weights:
        yield engine_preflight.command_line(run.engines.server, run.hosts.server, facts.root)

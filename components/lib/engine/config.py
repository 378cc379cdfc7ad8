"""Section `engines` of params.yaml, and the one place where a kind's name becomes an engine.

A new kind is one file with a Settings and an engine, one field here, and one line in `open_engine`.
"""

from collections.abc import Mapping
from pathlib import Path

from components.core.errors import UserError
from components.core.params import Config, nearest
from components.core.watch import watched
from components.lib import references
from components.lib.checkpoint import format_of
from components.lib.engine.protocol import Engine
from components.lib.engine.replayed import ReplayedEngine, ReplayedSettings
from components.lib.engine.scripted import ScriptedEngine, ScriptedSettings
from components.lib.engine.server import ServerEngine, ServerSettings
from components.lib.engine.teacher import TeacherEngine, TeacherSettings
from components.lib.engine.transformers import TransformersEngine, TransformersSettings

class Engines(Config, section="engines"):
    """One group of settings per kind of engine."""

    scripted: ScriptedSettings
    replayed: ReplayedSettings
    teacher: TeacherSettings
    transformers: TransformersSettings
    server: ServerSettings


def kind_for(model: Path, usual: str, by_format: Mapping[str, str]) -> str:
    """The kind of engine for a model: the usual one, another where the model is quantized and its format is named, a server's own server."""
    if (reference := references.of(model)) and reference.kind == "server":
        return "server"
    return by_format.get(format_of(references.resolve(model)) or "", usual) if by_format else usual


def open_engine(kind: str, engines: Engines, model: Path) -> Engine:
    """The engine of this kind for `model` (a folder, a reference to one, or recorded replies), not yet entered.

    Raises UserError where the kind is not known, or cannot ask such a model.
    """
    reference = references.of(model)
    if reference and reference.kind == "template" and kind != "teacher":
        raise UserError(f"params.yaml: engine: '{kind}' cannot ask {model}, which has no weights; `engine: teacher` can, or name another model")
    model = references.resolve(model)
    if kind != "teacher":
        watched(model)
    match kind:
        case "scripted":
            return ScriptedEngine(engines.scripted, model)
        case "replayed":
            return ReplayedEngine(engines.replayed, model)
        case "teacher":
            return TeacherEngine(engines.teacher)
        case "transformers":
            return TransformersEngine(engines.transformers, model)
        case "server":
            return ServerEngine(engines.server, model)
    kinds = list(Engines.model_fields)
    raise UserError(f"params.yaml: engine: no engine '{kind}'{nearest(kind, kinds)}; there are: {', '.join(kinds)}")

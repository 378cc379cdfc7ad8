"""Section `engines` of params.yaml and of infra/machine.yaml, and the one place where a kind's name becomes an engine.

A new kind is one file with a Settings and an engine, one field here, and one line in `open_engine`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from components.core.errors import UserError
from components.core.machine import LOCAL, MachineConfig
from components.core.params import Config, Settings, did_you_mean
from components.core.watch import watched
from components.lib import references
from components.lib.checkpoint import format_of
from components.lib.engine.protocol import Engine
from components.lib.engine.replayed import ReplayedEngine, ReplayedSettings
from components.lib.engine.scripted import ScriptedEngine, ScriptedSettings
from components.lib.engine.server import ServerEngine
from components.lib.engine.server_config import ServerHost, ServerSettings
from components.lib.engine.teacher import TeacherEngine, TeacherSettings
from components.lib.engine.transformers import TransformersEngine, TransformersSettings


class Engines(Config, section="engines"):
    """One group of settings per kind of engine."""

    scripted: ScriptedSettings
    replayed: ReplayedSettings
    teacher: TeacherSettings
    transformers: TransformersSettings
    server: ServerSettings


class NamedServer(Settings):
    """Where a model of kind `server` is served."""

    urls: Annotated[list[str], Field(min_length=1)]


class EngineHosts(MachineConfig, section="engines"):
    """Where engines find their servers, or start them."""

    server: ServerHost
    servers: dict[str, NamedServer]
    """Of models of kind `server`, by the model's name."""

    def named(self, name: str) -> ServerHost:
        """Where the model of this name is served; raises UserError where no address is known."""
        if name not in self.servers:
            near = did_you_mean(name, self.servers)
            raise UserError(f"{LOCAL}: engines.servers: no server '{name}'{near}; write {{{name}: {{urls: [http://HOST:PORT]}}}}")
        return self.server.model_copy(update={"urls": self.servers[name].urls})


def kind_for(model: Path, usual: str, by_format: Mapping[str, str]) -> str:
    """The kind of engine for a model: a server for what a server holds, else the one named for its format, else the usual one."""
    reference = references.of(model)
    if reference and reference.path is None:  # no files whose format could be asked for
        return "server" if reference.kind == "server" else usual
    return by_format.get(format_of(references.resolve(model)) or "", usual) if by_format else usual


def open_engine(kind: str, engines: Engines, hosts: EngineHosts, model: Path) -> Engine:
    """The engine of this kind for `model` (a folder, a reference to one, or recorded replies), not yet entered.

    Raises UserError where the kind is not known, or cannot ask such a model.
    """
    reference = references.of(model)
    if reference and reference.kind == "teacher" and kind != "teacher":
        raise UserError(f"params.yaml: engine: '{kind}' cannot ask {model}, which has no weights; name another model, or `engine: teacher`")
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
            named = reference and reference.kind == "server"
            return ServerEngine(engines.server, hosts.named(model.name) if named else hosts.server, model)
    kinds = list(Engines.model_fields)
    raise UserError(f"params.yaml: engine: no engine '{kind}'{did_you_mean(kind, kinds)}; there are: {', '.join(kinds)}")

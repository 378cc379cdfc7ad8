"""Sections `models` and `exam` of params.yaml as a whole: which stage makes each model, what it was made from, and who takes the exam.

dvc.yaml's `foreach` reads the same sections. Does not know how a model is made: the stages' own sections do.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from components.core.errors import UserError
from components.core.params import Config, Settings, nearest


class Origin(NamedTuple):
    """The stage that makes a model (`train@tir`), and the model that it starts from, if any."""

    stage: str
    start: str | None


class Models(Config, section="models"):
    """The groups of models by the stage that makes them; each entry's other fields are that stage's own."""

    fetch: dict[str, dict[str, Any]]
    """Downloaded or made from scratch."""
    import_: dict[str, dict[str, Any]]
    """Brought from a folder, a GGUF file or a server."""
    train: dict[str, dict[str, Any]]
    quantize: dict[str, dict[str, Any]]

    @classmethod
    def check(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> Self:
        """Raises UserError where two groups have one name, or where a model starts from none of them."""
        section = {"import_" if name == "import" else name: entries or {} for name, entries in params.get(cls.section, {}).items()}
        models = super().check({cls.section: section}, path, key)
        twice = [name for name in models.origins if sum(name in entries for _, entries in models._groups()) > 1]
        if twice:
            raise UserError(f"{path}: models: '{twice[0]}' is there twice; each stage writes models/NAME, so give one another name")
        for name, (stage, start) in models.origins.items():
            if start is not None:
                models.known(start, f"{path}: models.{stage.replace('@', '.')}.start")
            if start == name:
                raise UserError(f"{path}: models.{stage.replace('@', '.')}.start: a model cannot start from itself")
        return models

    @property
    def origins(self) -> dict[str, Origin]:
        """Of every model, by name."""
        return {name: Origin(f"{group}@{name}", entry.get("start")) for group, entries in self._groups() for name, entry in entries.items()}

    def known(self, name: str, where: str) -> None:
        """Raises UserError where there is no such model; `where` names the file and the key."""
        if name not in self.origins:
            raise UserError(f"{where}: no model '{name}'{nearest(name, list(self.origins))}; models has: {', '.join(self.origins)}")

    def _groups(self) -> list[tuple[str, dict[str, dict[str, Any]]]]:
        return [("fetch", self.fetch), ("import", self.import_), ("train", self.train), ("quantize", self.quantize)]


class Examinee(Settings):
    """One who takes the exam."""

    model: str
    solve: str
    """The entry of `solve` that says how it is asked."""
    judge: str
    """The model that reads its candidates."""


class Exam(Config, section="exam"):
    """Everyone who takes the exam, by name, in the order in which reports show them."""

    examinees: dict[str, Examinee]

    @classmethod
    def check(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> Self:
        """Raises UserError where an entry names a model or an entry of `solve` that is not there."""
        found = super().check({cls.section: {"examinees": params.get(cls.section) or {}}}, path, key)
        if not found.examinees:
            raise UserError(f"{path}: exam: nobody takes it; name one: {{NAME: {{model: …, solve: exam-tir, judge: …}}}}")
        models, asked = Models.check(params, path), list(params.get("solve", {}))
        for name, examinee in found.examinees.items():
            for field in ("model", "judge"):
                models.known(getattr(examinee, field), f"{path}: exam.{name}.{field}")
            if examinee.solve not in asked:
                near = nearest(examinee.solve, asked)
                raise UserError(f"{path}: exam.{name}.solve: no entry '{examinee.solve}'{near}; solve has: {', '.join(asked)}")
        return found

    def compared(self, models: Models) -> list[tuple[str, str]]:
        """Each examinee whose model was made from another one, behind the first examinee with that one."""
        first = {examinee.model: name for name, examinee in reversed(self.examinees.items())}
        starts = {name: models.origins[examinee.model].start for name, examinee in self.examinees.items()}
        return [(first[start], name) for name, start in starts.items() if start in first]

"""Sections `models` and `exam` of params.yaml as a whole: which stage makes each model, what it was made from, and who takes the exam.

dvc.yaml's `foreach` reads the same sections. Does not know how a model is made: the other fields of an entry are its stage's own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import ConfigDict, Field

from components.core.errors import UserError
from components.core.params import Config, Settings, at, check_name, did_you_mean


class Origin(NamedTuple):
    """The stage that makes a model (`train@tir`), and the model that it starts from, if any."""

    stage: str
    start: str | None


class Derived(Settings):
    """What every model says that is made from another one."""

    model_config = ConfigDict(extra="ignore")

    start: str


class Models(Config, section="models"):
    """The groups of models by the stage that makes them, each in the order of params.yaml."""

    fetch: dict[str, dict[str, Any]]
    """Downloaded or made from scratch."""
    import_: dict[str, dict[str, Any]] = Field(alias="import")
    """Brought from a folder, a GGUF file or a server."""
    train: dict[str, Derived]
    quantize: dict[str, Derived]

    @classmethod
    def check(cls, params: Mapping[str, Any], path: Path, key: str | None = None) -> Self:
        """Raises UserError where two groups have one name, or where a model starts from none of them, or from itself by a detour."""
        found, seen = super().check(params, path, key), dict[str, str]()
        for group, name, _ in found._entries():
            where = f"{path}: models.{group}.{name}"
            check_name(name, where)
            if name in seen:
                raise UserError(f"{where}: the name '{name}' is that of models.{seen[name]}.{name}, too; rename one, or take one out")
            seen[name] = group
        for group, name, start in found._entries():
            where, behind = f"{path}: models.{group}.{name}.start", [name]
            while start is not None:
                found.known(start, where)
                if start in behind:
                    raise UserError(f"{where}: {' from '.join([*behind, start])}: a model cannot start from itself")
                behind.append(start)
                start = found.origins[start].start
        return found

    @property
    def origins(self) -> dict[str, Origin]:
        """Of every model, by name."""
        return {name: Origin(f"{group}@{name}", start) for group, name, start in self._entries()}

    def known(self, name: str, where: str) -> None:
        """Raises UserError where there is no such model; `where` names the file and the key."""
        if name not in self.origins:
            raise UserError(f"{where}: no model '{name}'{did_you_mean(name, list(self.origins))}; models has: {', '.join(self.origins)}")

    def _entries(self) -> list[tuple[str, str, str | None]]:
        """Group, name and start of every model."""
        fetched = [("fetch", name, None) for name in self.fetch] + [("import", name, None) for name in self.import_]
        derived = [(group, name, one.start) for group in ("train", "quantize") for name, one in getattr(self, group).items()]
        return fetched + derived


class Examinee(Config, section="exam", keyed=True):
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
        names = list(at(params, cls.section, path))
        if not names:
            raise UserError(f"{path}: exam: nobody takes it; name one: {{NAME: {{model: …, solve: exam-tir, judge: …}}}}")
        found = cls(examinees={name: Examinee.check(params, path, name) for name in names})
        models, asked = Models.check(params, path), [name for name in at(params, "solve", path) if name != "common"]
        for name, examinee in found.examinees.items():
            where = f"{path}: exam.{name}"
            check_name(name, where)
            models.known(examinee.model, f"{where}.model")
            models.known(examinee.judge, f"{where}.judge")
            if examinee.solve not in asked:
                near = did_you_mean(examinee.solve, asked)
                raise UserError(f"{where}.solve: no entry '{examinee.solve}'{near}; solve has: {', '.join(asked)}")
        return found

    def compared(self, models: Models) -> list[tuple[str, str]]:
        """Each examinee whose model was made from another one, behind the first examinee with that one."""
        first = {examinee.model: name for name, examinee in reversed(self.examinees.items())}
        starts = {name: models.origins[examinee.model].start for name, examinee in self.examinees.items()}
        return [(first[start], name) for name, start in starts.items() if start in first]

"""What stages really opened of components/ (audit/sitecustomize.py notes it), against what their fingerprints say that they reach."""

import os
from pathlib import Path

from components.core.fingerprint import PROMPTS, Codebase
from components.core.params import read

AUDIT = Path(__file__).with_name("audit")


def environment(notes: Path, root: Path) -> dict[str, str]:
    """Variables with which every stage that is started notes what it opens."""
    return {"PYTHONPATH": f"{AUDIT}{os.pathsep}{root}", "AUDIT_FOLDER": str(notes), "AUDIT_ROOT": f"{root}{os.sep}"}


def opened_by_stage(notes: Path) -> dict[str, set[str]]:
    """Files under components/ by stage."""
    found = {folder.name: set[str]().union(*(file.read_text().splitlines() for file in folder.iterdir())) for folder in notes.iterdir()}
    return {stage: {file for file in files if file.startswith("components/")} for stage, files in found.items()}


def beyond_fingerprint(notes: Path, components: Path) -> dict[str, set[str]]:
    """By stage, what it opened and its fingerprint does not know. The stage `code` opens all of them to read them."""
    code = Codebase(components)
    reached = {name: code.fingerprint(name).files for name in code.components}
    beyond = {
        stage: {file for file in files if file not in reached[_component(stage)] and not _prompt(file)}
        for stage, files in opened_by_stage(notes).items()
        if stage != "code"
    }
    return {stage: files for stage, files in beyond.items() if files}


def _component(stage: str) -> str:
    """What a stage of dvc.yaml runs: `exam@base` runs components.solve."""
    found = read(AUDIT.parents[1] / "dvc.yaml")["stages"][stage.partition("@")[0]]
    return str(found.get("do", found)["cmd"]).split()[2].removeprefix("components.")


def _prompt(file: str) -> bool:
    return file.startswith(PROMPTS) and file.endswith(".md")

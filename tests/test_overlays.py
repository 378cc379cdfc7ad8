"""Overlays: what is written is the whole truth, comments and all; what is wrong is refused by name, and nothing is written."""

from pathlib import Path

import pytest

from components.core import machine, overlays
from components.core.errors import UserError
from components.core.machine import MachineConfig
from components.core.params import Config, Settings, read
from flows.promote import Promote
from flows.walk import Flow

ROOT = Path(__file__).parents[1]

TINY = """\
# The whole file.
train: # all stages
  common: {lr: 1.0e-3, epochs: 3} # of each
  cot: {}
exam:
  stop: {kind: agree, of_first: 5}
  plan: {tir: 8} # candidates

  # the base model
  model:
    kind: scratch
    scratch: {hidden: 128}
    hub: {repo: null}
"""


DEFAULTS = "server: {urls: [], slots: 64} # slots\nflow: {parallel: 2}\n"


class Server(MachineConfig, section="server"):
    urls: list[str]
    slots: int


class Stop(Settings):
    kind: str
    of_first: int | None = None


class Hub(Settings):
    repo: str | None


class Scratch(Settings):
    hidden: int


class Model(Settings):
    kind: str
    hub: Hub
    scratch: Scratch


class Exam(Config, section="exam"):
    stop: Stop
    plan: dict[str, int]
    model: Model


class Train(Config, section="train", keyed=True):
    lr: float
    epochs: int


def project(root: Path, **more: str) -> Path:
    (root / "infra/profiles").mkdir(parents=True)
    for name, text in {"tiny": TINY, **more}.items():
        (root / f"infra/profiles/{name}.yaml").write_text(text)
    (root / machine.DEFAULTS).write_text(DEFAULTS)
    return root


def used(root: Path, *names: str) -> str:
    overlays.use(names, root, [Exam, Train, Server, Flow])
    return (root / "params.yaml").read_text()


def test_the_base_profile_comes_out_byte_for_byte(tmp_path: Path) -> None:
    assert used(project(tmp_path), "tiny") == TINY


def test_an_overlay_changes_its_lines_only_and_keeps_the_comments(tmp_path: Path) -> None:
    root = project(tmp_path, big="# A big one.\ntrain:\n  common: {lr: 1.0e-4} # of the paper\n  cot: {epochs: 8}\n")
    expected = TINY.replace("1.0e-3, epochs: 3}", "1.0e-4, epochs: 3}").replace("cot: {}", "cot: {epochs: 8}")
    assert used(root, "big") == expected
    assert used(root, "tiny") == TINY, "going back restores"


def test_later_overlays_lie_over_earlier_ones(tmp_path: Path) -> None:
    root = project(tmp_path, a="train: {common: {epochs: 5}}\n", b="train: {common: {epochs: 6}}\n")
    used(root, "a", "b")
    assert read(root / "params.yaml")["train"]["common"] == {"lr": 1.0e-3, "epochs": 6}


def test_an_overlay_brings_those_it_lies_over(tmp_path: Path) -> None:
    low = "train: {common: {epochs: 5, lr: 1.0e-5}}\n"
    root = project(tmp_path, low=low, high="over: [low]\ntrain: {common: {epochs: 6}}\n")
    used(root, "high")
    assert read(root / "params.yaml")["train"]["common"] == {"lr": 1.0e-5, "epochs": 6}


def test_what_stands_with_a_profile_is_laid_only_where_that_is_below(tmp_path: Path) -> None:
    recipe = "about: {}\ntrain: {common: {epochs: 4}}\nwith: {big: {train: {common: {epochs: 7}}}}\n"
    root = project(tmp_path, big="train: {common: {lr: 1.0e-4}}\n", recipe=recipe, wrong="with: {bgi: {}}\n")
    used(root, "recipe")
    assert read(root / "params.yaml")["train"]["common"] == {"lr": 1.0e-3, "epochs": 4}
    for names in (["big", "recipe"], ["recipe", "big"]):
        used(root, *names)
        assert read(root / "params.yaml")["train"]["common"] == {"lr": 1.0e-4, "epochs": 7}
        assert read(root / "params.yaml") == overlays.merged(names, root).params
    with pytest.raises(UserError, match="no profile or recipe 'bgi', did you mean 'big'"):
        used(root, "wrong")


@pytest.mark.parametrize(
    ("overlay", "path", "expected"),
    [
        ("exam: {stop: {kind: none}}", ("stop",), {"kind": "none"}),
        ("exam: {stop: {of_first: 7}}", ("stop",), {"kind": "agree", "of_first": 7}),
        ("exam: {plan: {cot: 2}}", ("plan",), {"tir": 8, "cot": 2}),
        ("exam: {plan: !replace {cot: 2}}", ("plan",), {"cot": 2}),
        ("exam: {model: {kind: hub, hub: {repo: a/b}}}", ("model",), {"kind": "hub", "scratch": {"hidden": 128}, "hub": {"repo": "a/b"}}),
        ("exam: {model: {hub: {repo: null}}}", ("model", "hub"), {"repo": None}),
    ],
)
def test_mappings_merge_but_another_kind_or_a_tag_replaces(tmp_path: Path, overlay: str, path: tuple[str, ...], expected: object) -> None:
    root = project(tmp_path, over=overlay)
    assert "!replace" not in used(root, "over")
    found = read(root / "params.yaml")["exam"]
    for name in path:
        found = found[name]
    assert found == expected


def test_an_entry_can_be_taken_away_and_its_neighbours_keep_their_comments(tmp_path: Path) -> None:
    less = "exam: {plan: {tir: !remove , cot: 2}}\ntrain:\n  cot: !remove\n"
    root = project(tmp_path, less=less, twice="over: [less]\ntrain: {cot: !remove }\n")
    assert used(root, "less") == TINY.replace("  cot: {}\n", "").replace("{tir: 8}", "{cot: 2}")
    with pytest.raises(UserError, match=r"twice\.yaml: train\.cot: nothing to remove; there are: common"):
        used(root, "twice")


def test_where_all_entries_are_taken_away_what_is_written_can_be_read(tmp_path: Path) -> None:
    root = project(tmp_path, none="train: {common: !remove , cot: !remove }\n")
    used(root, "none")
    assert read(root / "params.yaml")["train"] == {}


@pytest.mark.parametrize(
    ("overlay", "names", "said"),
    [
        ("trian: {}", ["over"], "over.yaml: unknown section 'trian', did you mean 'train'"),
        ("train: {cot: {lrr: 1.0}}", ["over"], "over.yaml: train.cot: unknown key 'lrr', did you mean 'lr'"),
        ("train: {common: {lr: fast}}", ["over"], "over.yaml: train.cot.lr: .*found: 'fast'"),
        ("train: {common: {epochs: 2.5}}", ["over"], "over.yaml: train.cot.epochs"),
        ("exam: [", ["over"], "over.yaml: not YAML"),
        ("machine: {servr: {}}", ["over"], "over.yaml: unknown section 'servr', did you mean 'server'"),
        ("machine: {server: {slot: 1}}", ["over"], "over.yaml: server: unknown key 'slot', did you mean 'slots'"),
        ("machine: {server: {slots: many}}", ["over"], "over.yaml: server.slots: .*found: 'many'"),
        ("", ["ovr"], "no profile or recipe 'ovr', did you mean 'over'"),
    ],
)
def test_what_is_wrong_is_refused_by_name_and_nothing_is_written(tmp_path: Path, overlay: str, names: list[str], said: str) -> None:
    root = project(tmp_path, over=overlay)
    (root / "params.yaml").write_text("before")
    with pytest.raises(UserError, match=said):
        used(root, *names)
    assert (root / "params.yaml").read_text() == "before"


def test_what_overlays_say_of_the_machine_lies_between_its_defaults_and_a_persons_own(tmp_path: Path) -> None:
    big = "machine: {server: {slots: 8, urls: [http://there]}}\n"
    recipe = "about: {}\nwith: {big: {machine: {server: {slots: 16}}}}\n"
    root = project(tmp_path, big=big, recipe=recipe)
    own = root / machine.LOCAL
    own.parent.mkdir()
    own.write_text("server: {urls: [http://mine]} # by hand\n")
    assert "machine" not in used(root, "big", "recipe")
    assert Server.load(root) == Server(urls=["http://mine"], slots=16)
    assert (root / machine.PROFILE).read_text().startswith("# Written by `aimo use big recipe`")
    used(root, "tiny")
    assert Server.load(root) == Server(urls=["http://mine"], slots=64), "only what the overlays said is gone"
    assert own.read_text() == "server: {urls: [http://mine]} # by hand\n"
    assert (root / machine.DEFAULTS).read_text() == DEFAULTS
    assert not (root / machine.PROFILE).exists()


@pytest.mark.parametrize("name", sorted(overlays.available(ROOT)))
def test_every_profile_and_recipe_passes_the_checks_of_its_components(tmp_path: Path, name: str) -> None:
    for folder in ("components", "infra"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    overlays.use([name], tmp_path, [Promote, Flow])
    assert overlays.description(overlays.available(ROOT)[name]), "says in its first line what it is"


def test_every_section_is_some_component_s() -> None:
    named = {name for kind in [*overlays.sections(ROOT), Promote] if issubclass(kind, Config) for name in (kind.section, kind.common)}
    assert set(read(ROOT / "params.yaml")) == {name.partition(".")[0] for name in named}


def test_no_parameter_has_a_name_that_the_run_cache_overlooks() -> None:
    # DVC leaves every key named `size` or `nfiles` out of the run cache's hash, so a stage would be restored under another value
    def names(data: object) -> set[str]:
        if isinstance(data, dict):
            return set(data).union(*map(names, data.values()))
        return set().union(*map(names, data)) if isinstance(data, list) else set()

    assert not names(read(ROOT / "params.yaml")) & {"size", "nfiles"}

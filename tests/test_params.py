"""Typed sections of params.yaml: where their fields come from, and what is said where they are wrong."""

from pathlib import Path

import pytest

from components.core.errors import UserError
from components.core.params import Config

FILE = Path("params.yaml")
PARAMS = {
    "train": {"lr": 0.1, "epochs": 1},
    "models": {"train": {"cot": {"epochs": 4}, "common": {}}, "fetch": {"base": {"hidden": 8}, "common": {"seed": 1}}},
    "solve": {"teacher": {"n": 2}},
}


class Train(Config, section="models.train", keyed=True, common="train"):
    lr: float
    epochs: int


class Fetch(Config, section="models.fetch", keyed=True):
    seed: int
    hidden: int


class Solve(Config, section="solve", keyed=True):
    n: int


class Base(Config, section="models.fetch.base"):
    hidden: int


class Model(Config, section="models", keyed=True, common="train"):
    lr: float
    epochs: int


def test_an_entry_is_laid_over_the_section_that_holds_what_is_common() -> None:
    assert Train.check(PARAMS, FILE, "cot") == Train(lr=0.1, epochs=4)
    assert Train.entry_names(PARAMS, FILE, "cot") == ["train", "models.train.cot"]
    assert Train.keys(PARAMS, FILE) == ["cot", "common"], "whose common fields stand elsewhere may have an entry of that name"


def test_without_another_place_what_is_common_stands_inside_the_section_or_nowhere() -> None:
    assert Fetch.check(PARAMS, FILE, "base") == Fetch(seed=1, hidden=8)
    assert (Fetch.keys(PARAMS, FILE), Fetch.entry_names(PARAMS, FILE, "base")) == (["base"], ["models.fetch.common", "models.fetch.base"])
    assert Solve.check(PARAMS, FILE, "teacher") == Solve(n=2)
    assert Solve.entry_names(PARAMS, FILE, "teacher") == ["solve.teacher"]


def test_a_section_and_a_key_may_be_dotted() -> None:
    assert Base.check(PARAMS, FILE) == Base(hidden=8)
    assert Model.check(PARAMS, FILE, "train.cot") == Model(lr=0.1, epochs=4)


@pytest.mark.parametrize(
    ("whole", "key", "said"),
    [
        (PARAMS, "cott", "params.yaml: models.train: no entry 'cott', did you mean 'cot'.; there are: cot, common"),
        ({**PARAMS, "models": {"trian": {}}}, "cot", "params.yaml: models: no entry 'train', did you mean 'trian'"),
        ({"train": {}}, "cot", "params.yaml: no entry 'models'"),
        ({"models": PARAMS["models"]}, "cot", "params.yaml: no entry 'train'"),
        (
            {**PARAMS, "models": {"train": {"cot": {"lrr": 1.0}}}},
            "cot",
            "models.train.cot: unknown key 'lrr', did you mean 'lr'",
        ),
        ({**PARAMS, "models": {"train": {"cot": {"lr": "x"}}}}, "cot", r"params.yaml: models.train.cot.lr: .*found: 'x'"),
        ({**PARAMS, "models": {"train": 3}}, "cot", "params.yaml: models.train: holds 3, not keys with their values"),
    ],
)
def test_an_error_names_the_file_and_the_whole_key(whole: dict[str, object], key: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Train.check(whole, FILE, key)

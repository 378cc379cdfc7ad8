"""Models from elsewhere: a folder that is used where it lies, a server's model; each through the stage that DVC runs."""

import asyncio
import json
from pathlib import Path

import pytest

from components.core import rows
from components.core.errors import UserError
from components.core.params import PARAMS
from components.core.types import Example
from components.fetch.kind import Fetch
from components.lib import checkpoint, model_contamination, references
from components.lib.engine.config import EngineHosts, kind_for
from components.lib.engine.protocol import Completion
from components.quantize.method import QuantizeEnvs
from components.quantize.stage import quantize
from components.train.finetune import TrainLaunch
from components.train.stage import train
from tests import model_fixtures
from tests.import_fixtures import GREEDY, OUT, asked, imported, opened, refused, written
from tests.quantize_fixtures import config as quantize_config
from tests.row_fixtures import problem
from tests.stage_fixtures import filled, run
from tests.test_servers import WHOLE, Fake
from tests.test_train import CONFIG as TRAIN
from tests.test_train import Train, examples

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def micro(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder outside the project, trained on a benchmark's problems, as its own file says."""
    folder = model_fixtures.make(tmp_path_factory.mktemp("elsewhere") / "micro")
    (folder / model_contamination.FILE).write_text('{"contaminated_by": {"olympic": 3}}', encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return filled(tmp_path, monkeypatch)


# ---- a folder ------------------------------------------------------------------------------------------------------


def test_a_folder_is_used_where_it_lies(home: Path, micro: Path) -> None:
    imported(kind="folder", path=str(micro))
    assert [file.name for file in OUT.iterdir()] == [references.FILE]
    measured = json.loads(Path("m.json").read_text(encoding="utf-8"))
    assert measured["files"] == len(list(micro.iterdir())) and measured["bytes"] == sum(file.stat().st_size for file in micro.iterdir())
    assert references.resolve(OUT) == micro
    completion = asked(opened("transformers", EngineHosts.load()))
    assert completion.num_tokens > 0


def test_a_training_starts_from_a_folder_and_knows_what_that_had_seen(home: Path, micro: Path) -> None:
    imported(kind="folder", path=str(micro))
    for name in ("data", "work"):
        Path(name).mkdir()
    rows.write(Path("data/examples.parquet"), examples()[:2], Example)
    Path("data/stats.json").write_text('{"contaminated_by": {"olympic": 2, "other": 1}}', encoding="utf-8")
    config = Train.model_validate({**TRAIN, "num_train_epochs": 1, "num_checkpoints": 1})
    train(
        config, TrainLaunch(launch=str(ROOT / "infra/launch/one.yaml")),
        data=Path("data"), rehearsal=Path("data"), start=OUT, gate=Path("data"), out=Path("tuned"), losses=Path("l.csv"), work=Path("work"),
    )  # fmt: skip
    assert checkpoint.read_config(Path("tuned"))["hidden_size"] == checkpoint.read_config(micro)["hidden_size"]
    assert model_contamination.of(Path("tuned")) == {"olympic": 5, "other": 1}


def test_a_folder_is_quantized_as_any_model_is(home: Path, micro: Path) -> None:
    """It is looked at, and found good, before the environment that is not there."""
    imported(kind="folder", path=str(micro))
    with pytest.raises(UserError, match="infra/envs/build none"):
        quantize(quantize_config("fp8"), QuantizeEnvs(envs={"fp8": "none"}), start=OUT, calibration=Path("data"), out=Path("small"))


def test_a_model_that_was_trained_on_the_exam_is_refused_wherever_it_lies(home: Path, micro: Path) -> None:
    imported(kind="folder", path=str(micro))
    asked = [problem().model_copy(update={"source": "olympic"})]
    with pytest.raises(UserError, match=r"trained on problems of 'olympic' \(3 rows\)"):
        model_contamination.refuse(references.resolve(OUT), asked, Path("exam.parquet"))


@pytest.mark.parametrize("change", ["grown", "gone"])
def test_a_file_that_changed_behind_the_reference_is_told_by_name_and_cure(home: Path, change: str) -> None:
    folder = model_fixtures.make(home / "elsewhere")
    imported(kind="folder", path="elsewhere")
    if change == "gone":
        (folder / "tokenizer.json").unlink()
    else:
        with (folder / "tokenizer.json").open("a", encoding="utf-8") as file:
            file.write("\n")
    with pytest.raises(
        UserError, match=r"elsewhere/tokenizer\.json: is not what models/mine/reference\.json recorded; `dvc repro import@mine`"
    ):
        references.resolve(OUT)


def test_a_folder_of_other_bytes_is_another_reference_and_the_same_one_the_same(home: Path) -> None:
    folder = model_fixtures.make(home / "elsewhere")
    references_made = []
    for change in (None, None, "config.json"):
        if change:
            file = folder / change
            file.write_text(file.read_text(encoding="utf-8").replace("0.08", "0.09"), encoding="utf-8")
        imported(kind="folder", path="elsewhere")
        references_made.append((OUT / references.FILE).read_bytes())
    assert references_made[0] == references_made[1] != references_made[2]


@pytest.mark.parametrize(
    ("lacks", "said"),
    [("model.safetensors", r"no \*\.safetensors"), ("config.json", "no config.json"), ("tokenizer", "no tokenizer")],
)
def test_a_folder_that_holds_no_whole_model_says_what_it_lacks(home: Path, micro: Path, lacks: str, said: str) -> None:
    Path("part").mkdir()
    for file in micro.iterdir():
        if not file.name.startswith(lacks):
            (Path("part") / file.name).symlink_to(file)
    with pytest.raises(UserError, match=f"part: {said}"):
        written(kind="folder", path="part")


def test_a_kind_stands_in_its_own_group(home: Path) -> None:
    for group, kind, right in (("fetch", "folder", "import"), ("import", "scratch", "fetch")):
        with pytest.raises(UserError, match=rf"models\.{group}\.mine: a model of kind '{kind}' stands under models\.{right}"):
            Fetch.check({"models": {group: {"mine": {"kind": kind}}}}, PARAMS, f"{group}.mine")
    with pytest.raises(UserError, match=r"models\.import\.mine\.kind: no kind of model 'foldr', did you mean 'folder'"):
        Fetch.check({"models": {"import": {"mine": {"kind": "foldr"}}}}, PARAMS, "import.mine")


# ---- a server ------------------------------------------------------------------------------------------------------


def hosts(urls: dict[str, str]) -> EngineHosts:
    """infra/machine.yaml with these servers in a person's own file over it."""
    Path(".aimo").mkdir(exist_ok=True)
    servers = {name: {"urls": [url]} for name, url in urls.items()}
    Path(".aimo/machine.yaml").write_text(json.dumps({"engines": {"servers": servers}}), encoding="utf-8")
    return EngineHosts.load()


def test_a_servers_model_is_asked_at_its_own_address_by_its_own_name(home: Path, micro: Path) -> None:
    imported(kind="server", served_model_name="org/theirs", path=str(micro))
    assert not checkpoint.shards(OUT), "only what renders and counts prompts is copied"
    for usual in ("transformers", "teacher", "server"):
        assert kind_for(OUT, usual, {"awq": "transformers"}) == "server"

    async def scene() -> tuple[Completion, Fake]:
        fake = Fake(WHOLE, models=("other", "org/theirs"))
        async with fake as url, opened("transformers", hosts({"mine": url, "another": "http://127.0.0.1:9"})) as engine:
            return await engine.complete(engine.encode("abc"), GREEDY, key="p/0/0", seed=1), fake

    completion, fake = asyncio.run(scene())
    assert (completion.text, completion.finish_reason) == ("whole", "length")
    assert [request["model"] for request in fake.asked] == ["org/theirs"]


def test_a_server_that_holds_another_model_is_refused_by_name(home: Path, micro: Path) -> None:
    imported(kind="server", served_model_name="org/theirs", path=str(micro))

    async def scene() -> None:
        async with Fake(WHOLE, models=("org/other",)) as url, opened("transformers", hosts({"mine": url})):
            pass

    with pytest.raises(UserError, match=r"machine\.yaml: engines\.servers\.mine\.urls: .* serves org/other, none named org/theirs"):
        asyncio.run(scene())


def test_a_server_without_an_address_is_told_where_to_write_it(home: Path, micro: Path) -> None:
    imported(kind="server", served_model_name="org/theirs", path=str(micro))
    with pytest.raises(UserError, match=r"machine\.yaml: engines\.servers: no server 'mine', did you mean 'mime'\?; write \{mine: \{urls:"):
        opened("transformers", hosts({"mime": "http://127.0.0.1:9"}))


def test_a_servers_model_needs_its_tokenizer(home: Path) -> None:
    Path("empty").mkdir()
    assert "empty: no tokenizer in it" in refused(kind="server", served_model_name="org/theirs", path="empty")


def test_the_template_teacher_has_no_format_that_an_engine_could_be_named_for(home: Path) -> None:
    done = run("fetch", "fetch.teacher", "--out", "models/teacher", "--metrics", "m.json")
    assert done.returncode == 0, done.stderr
    assert kind_for(Path("models/teacher"), "teacher", {"fp8": "server"}) == "teacher"

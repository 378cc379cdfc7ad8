"""A set's card: what is in it, what was left out on the way, who allows its use, what made it, what is known to be wrong with it.

Two files, card.json and card.md, of one content; the same inputs and code give the same bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from components.compose.dataset_stats import StatsCollector
from components.compose.kind import Kind, TrainingRow
from components.core.fingerprint import Codebase
from components.core.runner import write_json
from components.core.types import Example, Preference
from components.lib import prompts
from components.lib.pinned import digest

CHARS = 800
"""Of a message that the card shows."""
BAR = 30
"""Characters of the longest bar."""


class DatasetCard(NamedTuple):
    """What a card is written from."""

    name: str
    kind: Kind
    settings: Mapping[str, Any]
    """Compose's section as params.yaml has it."""
    collector: StatsCollector
    stats: Mapping[str, Any]
    curated: Mapping[str, Any]
    """What curate counted: read, dropped by reason and source, written."""


def write(folder: Path, card: DatasetCard) -> None:
    """Writes both files into a new folder."""
    folder.mkdir(parents=True)
    content = {
        "name": card.name,
        "stats": card.stats,
        "funnel": _funnel(card),
        "dropped_by_curate": {reason: sum(nums.values()) for reason, nums in card.curated.get("dropped", {}).items()},
        "dropped": dict(card.collector.dropped),
        "by_answer_digits": {digits: dict(reasons) for digits, reasons in card.collector.by_answer_digits.items()},
        "pass_rates": dict(card.collector.pass_rates),
        "settings": card.settings,
        "prompts": prompt_digests([card.kind.prompt]),
        "code": code_digests(),
        "defects": list(_defects(card)),
        "examples": [row.id for row in card.collector.examples()],
    }
    write_json(folder / "card.json", content)
    (folder / "card.md").write_text("\n".join(_page(content, card.collector.examples())) + "\n", encoding="utf-8")


def prompt_digests(names: Iterable[str]) -> dict[str, str]:
    """Digest by prompt file, by name."""
    return {f"{name}.md": digest(prompts.path(name)) for name in sorted(set(names))}


def code_digests() -> dict[str, str]:
    """Digest by file of ours that this component reaches. A comment changes none."""
    return Codebase().fingerprint("compose").files


def _funnel(card: DatasetCard) -> dict[str, int]:
    """From the sources to the set: how many there were after each step."""
    read = card.curated.get("read", {})
    steps = {f"problems read from {source}": num for source, num in sorted(read.items()) if isinstance(num, int)}
    steps["problems this set may use"] = card.collector.counts["problems"]
    steps["attempts at them"] = card.collector.counts["attempts"]
    steps["attempts of this set's mode"] = card.collector.counts["attempts_of_mode"]
    steps["rows that could be made"] = card.collector.num_made
    return {**steps, "rows": card.stats["rows"]}


def _defects(card: DatasetCard) -> Iterator[str]:
    yield from card.kind.defects()
    filled = card.collector.counts["pseudo_labels"]
    if filled:
        yield f"the answers of {filled} problems are the attempts' own majority (pseudo_labels.parquet); no one has checked them"
    unclear = {name: num for name, num in card.stats["licences"].items() if "none" in name.lower() or not name.strip()}
    if unclear:
        yield f"{sum(unclear.values())} rows come from a source without a stated licence"
    most = max(card.stats["sources"].items(), key=lambda pair: (pair[1], pair[0]))
    if most[1] > 0.9 * card.stats["rows"]:
        yield f"{most[1]} of {card.stats['rows']} rows come from one source, {most[0]}"


def _page(content: Mapping[str, Any], shown: list[TrainingRow]) -> Iterator[str]:
    settings = content["settings"]
    yield f"# {content['name']}"
    yield f"\n{content['stats']['rows']} rows of the kind `{settings['rows']['kind']}`."
    for title, counts in (
        ("From the sources to the set", content["funnel"]),
        ("Left out when the problems were curated", _most(content["dropped_by_curate"])),
        ("Left out of this set, by reason", _most(content["dropped"])),
        ("Problems by the share of their attempts that is right, in tenths", dict(sorted(content["pass_rates"].items()))),
        ("Sources", _most(content["stats"]["sources"])),
        ("Licences", _most(content["stats"]["licences"])),
        ("Characters per row", content["stats"]["characters"]),
        ("Answers", content["stats"]["answers"]),
    ):
        yield f"\n## {title}\n"
        yield from _bars(counts)
    yield "\n## Left out by the number of the answer's digits\n"
    yield from _digits(content["by_answer_digits"])
    yield "\n## Known defects\n"
    yield from (f"* {defect}" for defect in content["defects"] or ["none found"])
    yield "\n## Examples"
    for row in shown:
        yield from _example(row)
    yield "\n## What made it\n"
    yield "| file | SHA-256 |\n|---|---|"
    yield from (f"| `{name}` | `{value}` |" for name, value in {**content["prompts"], **content["code"]}.items())


def _most(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _bars(counts: Mapping[str, int]) -> Iterator[str]:
    if not counts:
        yield "nothing"
        return
    yield "| | | |\n|---|---:|---|"
    for name, num in counts.items():
        yield f"| {name} | {num} | {'█' * round(BAR * num / max(*counts.values(), 1))} |"


def _digits(table: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    columns = sorted(table)
    yield f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}"
    for reason in sorted({reason for counts in table.values() for reason in counts}):
        shares = [table[digits].get(reason, 0) / sum(table[digits].values()) for digits in columns]
        yield f"| {reason} | {' | '.join(f'{share:.1%}' for share in shares)} |"


def _example(row: TrainingRow) -> Iterator[str]:
    yield f"\n### {row.id}\n"
    for message in row.messages:
        yield from _message(message.role, message.content, message.loss)
    if isinstance(row, Preference):
        for name, pieces in (("chosen", row.chosen), ("rejected", row.rejected)):
            yield from _message(name, "".join(piece.content for piece in pieces), True)
    elif not isinstance(row, Example):
        yield f"gold: {row.gold}"


def _message(who: str, text: str, loss: bool) -> Iterator[str]:
    cut = text if len(text) <= CHARS else f"{text[:CHARS]}... ({len(text)} characters)"
    yield f"{who}{' (trained on)' if loss else ''}:\n"
    yield from (f"    {line}" for line in cut.split("\n"))
    yield ""

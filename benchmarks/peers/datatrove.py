"""datatrove's MinHash deduplication, the usual way to clean a training set, as the peer of components/curate. Knows only datatrove.

    python -m benchmarks.peers.datatrove FOLDER [--numbers]

The four steps that its documentation names, run by its own executor one task after the other: signatures, buckets, clusters, filter. All
settings are its defaults: word 5-grams, 14 buckets of 8 hashes, spaCy's blank English tokenizer (rules in the package, nothing to
download), every number read as 0. With --numbers, and nothing else changed, numbers stay what they are. Reads FOLDER/rows.jsonl (`id`,
`text`); writes the ids that it keeps to FOLDER/kept.txt; prints what it spent as one line of json. Imports are not counted.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.utils.text import TextNormConfig
from datatrove.utils.typeshelper import Languages
from datatrove.utils.word_tokenizers import load_word_tokenizer

from benchmarks.peers.resource_usage import measure_usage


def deduplicate(folder: Path, config: MinhashConfig) -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        signatures, buckets, gone = (str(scratch / step) for step in ("signatures", "buckets", "gone"))

        def read() -> JsonlReader:
            return JsonlReader(str(folder), glob_pattern="rows.jsonl")

        def write(kept: Iterable[Any], rank: int, world_size: int) -> None:
            (folder / "kept.txt").write_text("".join(f"{document.id}\n" for document in kept), encoding="utf-8")

        def run(step: str, pipeline: list[Callable[..., Any]], tasks: int = 1) -> None:
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=str(scratch / "logs" / step)).run()

        run("signatures", [read(), MinhashDedupSignature(signatures, config)])
        run("buckets", [MinhashDedupBuckets(signatures, buckets, config=config)], tasks=config.num_buckets)
        run("clusters", [MinhashDedupCluster(buckets, gone, config)])
        run("filter", [read(), MinhashDedupFilter(gone), write])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--numbers", action="store_true", help="numbers stay what they are")
    args = parser.parse_args()
    config = MinhashConfig(norm_config=TextNormConfig(norm_numbers=not args.numbers))
    load_word_tokenizer(Languages.english).word_tokenize("spaCy is imported at the first word.")
    print(json.dumps(measure_usage(lambda: deduplicate(args.folder, config))._asdict()))


if __name__ == "__main__":
    main()

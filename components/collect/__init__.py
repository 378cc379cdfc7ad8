"""Sources to raw problems: `data/raw/<use>/<name>/problems.parquet` (or `topics.parquet` for a forum) and `dropped.parquet`.

Reads the problem generator, public files, sets of a hub, or a forum dump, one entry of `sources:` in params.yaml each; writes rows of one
shape with their licence, and every row it left out with the reason. Nothing is merged, deduplicated or split here: that is curate's.
"""

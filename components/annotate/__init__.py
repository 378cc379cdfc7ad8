"""What a model says of attempts before sets are made of them: `runs/<pool>/annotations.parquet`.

Judgements of answers that no program can compare, summaries that replace endings, and votes on whether a code block was worth its running.
"""

"""What a run came to: `reports/results.json`, plot data and one self-contained page.

Reads the stored candidates, judgements and votes of all exams, the problems and the small files that other stages measured; asks no model
and trains nothing, so that a table can be changed in seconds. Model-written text is shown escaped.
"""

"""Sources to one clean set of problems: `data/problems`.

Reads `data/raw`, every source by what `sources:` in params.yaml says it is for, and the extracted problems; writes train, practice and exam
problems, what was dropped and why, and what resembles an exam problem. Here, and nowhere else, it is decided which problem may be trained
on: once, before any model sees a row.
"""

"""The examiner: asks an inference server one problem at a time, as Kaggle's gateway does, and scores what comes back.

Reads a CSV file of problems; writes a folder with submission.parquet, result.json (both as on Kaggle) and run.json (what was asked in
which order, what counted). It is no step of dvc.yaml: it examines a server from outside, by the wall clock, so its result is a
measurement and not a function of files. Knows no engine, no model and no vote.
"""

"""Candidates, judgements and checks to answers: `runs/exam/<name>/votes.parquet`.

Reads what a run stored; asks no model. Each strategy is one decorated function in lib/votes; what an answer gathered, who stood
behind it and how ties were broken is kept with the vote.
"""

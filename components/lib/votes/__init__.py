"""Voting strategies: one decorated pure function each, found by its name (`vote.strategies` in params.yaml).

ballot.py: what a strategy sees, and the one place where votes are counted. config.py: section `vote`, with the numbers of those
strategies that have any. The others hold the strategies by what they look at: answers, code, entropies, judgements and checks
(by_judgement). A new strategy is one function in one of them. An exam's vote and a replay of stored candidates call the same functions.
"""

from components.lib.votes import by_answer, by_code, by_entropy, by_judgement  # noqa: F401  each puts its strategies into ballot.STRATEGIES

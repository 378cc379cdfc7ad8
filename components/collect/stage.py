"""The stage: one entry of `sources:`, written to one folder. What a kind of source does stands in sources/."""

from components.collect.source import Collect
from components.core.runner import Metrics, Out
from components.lib.answers import Contest


def collect(config: Collect, contest: Contest, *, out: Out) -> Metrics:
    """Writes the problems (or topics) of one source into a folder, with every row left out and why."""
    out.mkdir(parents=True)
    return config.write(contest, out)

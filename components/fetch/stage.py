"""The stage: one entry of `models.fetch` or `models.import`, written as a model folder. What a kind does stands in kinds/<kind>.py."""

from components.core.runner import Metrics, Out
from components.fetch.kind import Fetch


def fetch(config: Fetch, *, out: Out) -> Metrics:
    """Writes the model, or a reference to where it is."""
    return config.write(out)

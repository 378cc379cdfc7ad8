"""The stage: makes or downloads the base model. Reads its section; writes a model folder; knows nothing of what is trained on it."""

from typing import Literal

from components.core.params import Config
from components.core.runner import Metrics, Out
from components.fetch import hub, scratch


class Fetch(Config, section="fetch"):
    """Where the base model comes from."""

    kind: Literal["scratch", "hub"]
    hub: hub.Hub
    scratch: scratch.Scratch


def fetch(config: Fetch, *, out: Out) -> Metrics:
    """Writes the base model: a pinned revision from a hub, or a small one made from scratch."""
    if config.kind == "hub":
        return hub.download(config.hub, out)
    return scratch.make(config.scratch, out)

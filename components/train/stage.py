"""The stage: one validated set and a model in, a fine-tuned model out."""

from components.core.runner import In, Metrics, Out, Work
from components.lib import seen
from components.train import ranks
from components.train.tuning import Job, Train


def train(config: Train, *, data: In, start: In, gate: In, out: Out, losses: Out, work: Work) -> Metrics:
    """Fine-tunes a model on one validated set of chat messages."""
    measured = ranks.run(config, Job(data, start, out, losses, work))
    seen.pass_on(start, data / "facts.json", out)
    return measured

"""The stage: one validated set and a model in, a fine-tuned model out."""

from components.core.runner import In, Metrics, Out, Work
from components.lib import references, seen
from components.train import ranks
from components.train.tuning import Job, Train, TrainLaunch


def train(config: Train, where: TrainLaunch, *, data: In, rehearsed: In, start: In, gate: In, out: Out, losses: Out, work: Work) -> Metrics:
    """Fine-tunes a model on one validated set of chat messages, and on rows of an earlier one where `rehearse` says so."""
    start = references.resolve(start)
    measured = ranks.run(config, where.launch, Job(data, rehearsed, start, out, losses, work))
    seen.pass_on(start, data / "facts.json", out)
    return measured

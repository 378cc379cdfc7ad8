"""The stage: one validated set and a model in, a fine-tuned model out."""

from components.core.runner import In, Metrics, Out, Work
from components.lib import model_contamination, references
from components.train import distributed
from components.train.finetune import Job, Train, TrainLaunch


def train(config: Train, where: TrainLaunch, *, data: In, rehearsal: In, start: In, gate: In, out: Out, losses: Out, work: Work) -> Metrics:
    """Fine-tunes a model on one validated set of chat messages, and on rows of an earlier one where `num_rehearsal_rows` says so."""
    start = references.resolve(start)
    measured = distributed.run(config, where.launch, Job(data, rehearsal, start, out, losses, work))
    model_contamination.inherit(start, data / "stats.json", out)
    return measured

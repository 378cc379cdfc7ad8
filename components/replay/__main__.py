"""`python -m components.replay --help`: the stage as a command."""

from components.core.runner import main
from components.replay.stage import replay

main(replay)

"""`python -m components.vote --help`: the stage as a command."""

from components.core.runner import main
from components.vote.stage import vote

main(vote)

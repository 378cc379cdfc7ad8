"""`python -m components.judge --help`: the stage as a command."""

from components.core.runner import main
from components.judge.stage import judge

main(judge)

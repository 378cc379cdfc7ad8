"""`python -m components.curate --help`: the stage as a command."""

from components.core.runner import main
from components.curate.stage import curate

main(curate)

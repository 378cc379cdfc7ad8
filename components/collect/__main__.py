"""`python -m components.collect --help`: the stage as a command."""

from components.collect.stage import collect
from components.core.runner import main

main(collect)

"""`python -m components.compose --help`: the stage as a command."""

from components.compose.stage import compose
from components.core.runner import main

main(compose)

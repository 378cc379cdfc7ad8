"""`python -m components.fetch --help`: the stage as a command."""

from components.core.runner import main
from components.fetch.stage import fetch

main(fetch)

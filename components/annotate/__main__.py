"""`python -m components.annotate --help`: the stage as a command."""

from components.annotate.stage import annotate
from components.core.runner import main

main(annotate)

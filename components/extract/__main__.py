"""`python -m components.extract --help`: the stage as a command."""

from components.core.runner import main
from components.extract.stage import extract

main(extract)

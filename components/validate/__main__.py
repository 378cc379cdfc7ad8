"""`python -m components.validate --help`: the stage as a command."""

from components.core.runner import main
from components.validate.stage import validate

main(validate)

"""`python -m components.verify --help`: the stage as a command."""

from components.core.runner import main
from components.verify.stage import verify

main(verify)

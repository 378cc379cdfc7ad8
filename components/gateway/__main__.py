"""`python -m components.gateway --help`: the stage as a command."""

from components.core.runner import main
from components.gateway.stage import gateway

main(gateway)

"""`python -m components.solve --help`: the stage as a command."""

from components.core.runner import main
from components.solve.stage import solve

main(solve)

"""`python -m components.code --help`: the stage as a command."""

from components.code.stage import code
from components.core.runner import main

main(code)

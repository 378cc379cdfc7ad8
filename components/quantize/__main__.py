"""`python -m components.quantize --help`: the stage as a command."""

from components.core.runner import main
from components.quantize.stage import quantize

main(quantize)

"""`python -m components.remark --help`: the stage as a command."""

from components.core.runner import main
from components.remark.stage import remark

main(remark)

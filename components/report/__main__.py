"""`python -m components.report --help`: the stage as a command."""

from components.core.runner import main
from components.report.stage import report

main(report)

from components.core.runner import main
from components.report.stage import report

main(report)

from components.core.runner import main
from components.extract.stage import extract

main(extract)

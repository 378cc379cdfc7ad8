from components.core.runner import main
from components.curate.stage import curate

main(curate)

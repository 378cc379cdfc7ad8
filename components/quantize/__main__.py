from components.core.runner import main
from components.quantize.stage import quantize

main(quantize)

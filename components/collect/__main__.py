from components.collect.stage import collect
from components.core.runner import main

main(collect)

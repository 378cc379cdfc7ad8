from components.compose.stage import compose
from components.core.runner import main

main(compose)

from components.core.runner import main
from components.solve.stage import solve

main(solve)

from components.core.runner import main
from components.judge.stage import judge

main(judge)

from components.core.runner import main
from components.vote.stage import vote

main(vote)

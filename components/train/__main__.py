"""`python -m components.train --help`: the stage as a command."""

from components.core.runner import main
from components.train.stage import train

main(train)

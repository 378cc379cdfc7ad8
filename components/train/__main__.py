from components.core.runner import main
from components.train.stage import train

main(train)

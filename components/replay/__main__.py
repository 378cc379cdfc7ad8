from components.core.runner import main
from components.replay.stage import replay

main(replay)

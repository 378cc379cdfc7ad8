from components.core.runner import main
from components.verify.stage import verify

main(verify)

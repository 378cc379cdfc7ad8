from components.core.runner import main
from components.fetch.stage import fetch

main(fetch)

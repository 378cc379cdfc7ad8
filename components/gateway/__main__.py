from components.core.runner import main
from components.gateway.stage import gateway

main(gateway)

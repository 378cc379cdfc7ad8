from components.core.runner import main
from components.validate.stage import validate

main(validate)

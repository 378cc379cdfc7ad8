"""Where model-written code runs, and the self-check that any sandbox must pass."""

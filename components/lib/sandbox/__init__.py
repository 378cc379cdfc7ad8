"""Where model-written code runs, and the trials that any sandbox must pass."""

"""What each kind of data must be like: one file per suite, found by its name in params.yaml (`validate.<key>.suite`)."""

"""One file is one kind of source; its class `Source` holds the fields of its entry in params.yaml and writes its rows."""

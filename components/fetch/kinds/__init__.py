"""One file per kind of model that is not trained here, found by its name; each holds a class `Kind`."""

"""One file per kind of training set, found by the name that `compose.<key>.rows.kind` says; each holds its settings and makes its rows."""

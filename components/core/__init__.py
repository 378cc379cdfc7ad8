"""The grammar all stages speak: row types, rows on disk, typed parameters, and the runner. Small and still: all stages reach it."""

"""Problems to candidates: `runs/<run>/candidates.parquet` (run: teacher, practice, exam/<name>).

Reads a problem set and whatever answers it (a template teacher, a model folder); writes n candidates per problem. Teacher, practice and
exam are the same loop: think, run code, go on, answer. Sampling costs hours on a GPU and happens once; everything that is
decided later (votes, GenSelect) reads what was stored here. On the wall clock each attempt is kept as it ends; where there is no clock and
no stop, under .aimo/attempts for whoever asks the same model for more (the folder may be deleted at any time).
"""

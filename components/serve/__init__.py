"""The examinee: the solver of a recipe behind Kaggle's protocol, here and as a folder for a notebook.

No stage of the graph and imported by none: like the graph itself it puts stages together (solve's questions, vote's count, the gateway for
a rehearsal), where neither DVC nor a flow can be. What it serves is what params.yaml says: the same recipe as the exams'.
"""

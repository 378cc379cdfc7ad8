"""The mathematics and the models: one folder per component, which is a stage of the graph, the gateway or the served solver.

Knows nothing of Prefect, DVC or MLflow.
"""

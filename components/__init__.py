"""The mathematics and the models: one folder per stage of the graph. Knows nothing of Prefect, DVC or MLflow."""

"""The machinery: DVC's graph, walked under Prefect, mirrored into MLflow. Knows nothing of the inside of components."""

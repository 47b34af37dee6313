"""HTTP: the Open Inference Protocol's REST side, POST /predict, and metrics."""

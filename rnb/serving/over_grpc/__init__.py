"""gRPC: the Open Inference Protocol's service."""

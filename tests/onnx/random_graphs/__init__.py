"""Random small ONNX graphs: the builder, operators by family, control flow."""

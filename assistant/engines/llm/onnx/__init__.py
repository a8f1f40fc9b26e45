"""Language models in ONNX, computed by ONNX Runtime."""

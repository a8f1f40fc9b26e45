"""Language models in ONNX, run by ONNX Runtime."""

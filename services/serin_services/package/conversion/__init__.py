"""Makes ONNX forms of trained models; packaging alone imports it, and with it the `onnx` library."""

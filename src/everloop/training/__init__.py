"""Learning: the user's training function run repeatably, and its model exported to ONNX."""

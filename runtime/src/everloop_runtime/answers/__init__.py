"""What a model's numbers say, one kind of answer a file: decoding, rendering, comparing."""

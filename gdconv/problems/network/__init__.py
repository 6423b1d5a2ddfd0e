"""Networks of two layers: their samples, their start, and loss, gradient and sharpness by nnlib."""

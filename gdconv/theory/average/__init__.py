"""What is to be expected of random features, as their number and that of the samples grow."""

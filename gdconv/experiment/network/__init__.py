"""Training of networks: the iterations, sharpness against its threshold, and the tables' rows."""

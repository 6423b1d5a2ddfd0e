"""What is expected of stochastic gradient descent on one data set.

moments: mean and covariance of the error, exactly. limits: the largest stable steps and the floor.
high_dimension: what both are close to if there are many features.
"""

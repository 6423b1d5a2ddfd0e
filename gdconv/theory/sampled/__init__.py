"""What is expected of stochastic gradient descent on one data set.

moments: mean and covariance of the error, exactly. doubling: the same at some iterations only.
limits: the largest stable steps, the floor and the rate. fourth: the largest step size for which
standard errors mean anything. coordinates: the same for coordinate descent. products: what moments
need to know of the rows. high_dimension: what the expectation is close to for many features.
"""

"""The largest p_t² of all eigenvalues between λ⁺min and λmax, for any iteration."""

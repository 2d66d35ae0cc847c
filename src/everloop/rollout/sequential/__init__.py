"""Tests that may be looked at any time: each holds its error rate however often one peeks.

A fixed-sample test that is looked at after every request finds something sooner or later even
where there is nothing. Here the evidence against "all is well" is an *e-process*: a non-negative
process whose expected value is at most 1 while all is well, whenever one stops. By Ville's
inequality the chance that it ever reaches 1 / alpha is then at most alpha. One file a test.
"""

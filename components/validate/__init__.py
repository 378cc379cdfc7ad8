"""The gate before anything is trained or asked: `reports/validation/<key>.json`.

Reads a set of problems or of training rows and holds it against a suite of Great Expectations; writes the results as small, stable JSON.
A failed critical expectation stops the chain with the rows named; a failed warning is written down and lets it go on.
"""

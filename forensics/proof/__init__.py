"""Proof for others: what a case says of a repair, sealed, and the program that tells whether it is so."""

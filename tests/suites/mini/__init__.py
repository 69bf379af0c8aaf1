"""Tests of the mini suite: the specification of its data."""

"""Tests of the mini suite's grammar of conditions."""

"""The preference study: a frozen protocol, balanced assignment, votes as a hash chain, and their analysis."""

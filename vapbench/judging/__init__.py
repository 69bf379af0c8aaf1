"""How far a judge can be trusted: its scores of pairs whose answer is known, of itself, and against people's votes."""

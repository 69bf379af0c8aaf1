"""Did the reference cause it? Counterfactual cases, and what follows from what methods make of them."""

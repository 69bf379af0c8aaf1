"""Methods: names, cards, and the loader of method folders.

A method folder holds ``card.yaml`` and ``method.py``. The card says what the method is, for people and for tables;
the class it names does the work. Built-in methods have cards as well, beside their modules.
"""

from vapbench.methods.card import Card, read_cards
from vapbench.methods.catalogue import MethodEntry, find, methods
from vapbench.methods.resolving import ResolvedMethod, check_class, resolve, resolve_folder, usual_parameters

__all__ = [
    "Card",
    "MethodEntry",
    "ResolvedMethod",
    "check_class",
    "find",
    "methods",
    "read_cards",
    "resolve",
    "resolve_folder",
    "usual_parameters",
]

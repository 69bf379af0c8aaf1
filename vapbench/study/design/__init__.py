"""Before a study opens: sources, assignment, blinding, planning, simulation."""

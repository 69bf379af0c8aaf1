"""semantic_alignment by a judge: rubrics, the question put to it, and how its answer is read.

``endpoint`` asks a server (``semantic_alignment[judge]``), ``local`` a model in this process
(``semantic_alignment[local]``); everything else here they share.
"""

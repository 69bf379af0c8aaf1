"""The mini suite: procedural clips small enough for a CPU, in place of VAP-Data's.

A scene under a condition, with a variation, is a clip. Importing this package costs nothing; its parts are

    scenes       what is shown: pure data, drawn from a number; the splits
    conditions   what happens to it: code names, plain words, effects (in ``effects/``, by category)
    render       frames, depth and flow of a clip
    controls     its structure as a video: itself, its depth, its flow in colours
    captions     its words: by code name, or in plain words
    grammar      conditions as families with parameters: the suite's next version
    cases        the benchmark, and the proof that training never saw it
    writer       files in VAP-Data's layout

and its clips are two lines away::

    from vapbench.suites.mini.cases import benchmark_cases

    case = benchmark_cases()[0]
    reference, truth = case.reference.render(), case.target.render()  # (13, 64, 64, 3) uint8 RGB
"""

"""The grammar of the mini suite's next version: conditions as families with parameters, in place of a list.

A condition is a value of one of four families (a camera move, a style, a motion, a concept). Its code name is its
parameters, scrambled: it can be read back, and says nothing to a text encoder.

    parameters   the families, their parameters and the values these take
    camera, style, motion, concept    what a condition does to a scene, and its plain words
    drawing      conditions at random
    distance     how far two conditions are apart
    codes        code names, both ways
    split        values and combinations that training never sees; training's and the benchmark's conditions
    reading      the parameters read back from a clip
"""

"""Looking inside a traced function: its equations, layers that can be named, taps, rules on blocks, and the audit.

From the ground up: ``trace`` and ``walk`` (reading and evaluating equations), ``flow`` (what depends on the input),
``recognition`` (which equations belong together), ``blocks`` and ``matching`` (which rule each block receives),
``placing`` and ``rewrite`` (the function with other derivatives), ``composites`` (rules that methods share).
"""

"""Looking inside a traced function: its equations, layers that can be named, taps, rules on blocks, and the audit."""

"""Looking inside a traced function: its equations, the layers that can be named, taps on them, and the audit."""

"""The commands, one file each: ``add`` declares the arguments, ``execute`` does the work and returns the exit code."""

"""How fast a click is refined, mode by mode, and against other solvers of the same objective."""

"""How the tasks of a study relate: measured once its search is over, kept as `affinity.json`."""

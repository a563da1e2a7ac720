"""How tasks relate: affinities measured on one model that all tasks share, and groups from them."""

"""How much each task counts: losses become one objective."""

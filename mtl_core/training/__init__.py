"""Training of one configuration: loop, optimiser, evaluation, checkpoints, export."""

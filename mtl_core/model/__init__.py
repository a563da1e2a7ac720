"""The encoder, and the sharing plans that say which of its weights a task uses."""

"""What a study found out, in words and tables."""

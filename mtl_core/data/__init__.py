"""Task files become audited, tokenised, memory-mapped rows, and rows become minibatches."""

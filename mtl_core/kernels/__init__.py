"""Operations of a GPU that PyTorch has not, for lanes that go through a pass together (Triton)."""

"""A dropout at every place of an encoder, each with a share of its own."""

DROPOUTS = {
    "dropout_embedding": 0.3,
    "dropout": 0.2,
    "dropout_attention": 0.4,
    "dropout_head": 0.5,
}

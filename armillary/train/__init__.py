"""The one training loop: data order, precision, checkpoints, resume, many processes."""

"""The pieces of the training loop: draws, optimizer, checkpoints, evaluation, the run folder."""

"""Looking after a dataset: what is wrong with its files, its labels and the whole, and why."""

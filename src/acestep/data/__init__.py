"""Songs, their labels and their tensors: everything that is read from and written to disk."""

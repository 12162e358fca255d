"""LoRA and its kin: attached for training, saved, read in every layout, mounted for generation."""

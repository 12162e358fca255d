"""How the small base model is made: its parts trained one after another, from nothing."""

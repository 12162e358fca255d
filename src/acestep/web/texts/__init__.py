"""The texts of the studio's pages, a table each: key → (English, Korean)."""

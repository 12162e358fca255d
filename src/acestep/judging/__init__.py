"""What an adapter learned: how near its music is to the songs, and whether it replays them."""

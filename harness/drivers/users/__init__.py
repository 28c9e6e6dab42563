"""Virtual users on asyncio, and the round that they drive."""

"""Virtual users on asyncio, and their round."""

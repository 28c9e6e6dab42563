"""The HTTP client: requests as bytes, answers from bytes, and its line on asyncio."""

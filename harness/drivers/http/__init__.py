"""The HTTP client: requests as bytes, answers from bytes, and the connection on asyncio."""

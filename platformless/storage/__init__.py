"""Blobs in S5: their names, the client that stores and fetches them, and an embedded portal."""

"""The node's server: HTTP for anyone, one WebSocket for paid sessions.

`app` puts the routes together; each other module has one group of endpoints, which is made of
values and of objects with a few methods, never of the node as a whole.
"""

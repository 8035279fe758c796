"""HTTP/1.1 on h11 and trio: connections, a pool of them, and the ways to a server. Knows no httpx.

The names of the errors are httpx's, and mean the same.
"""

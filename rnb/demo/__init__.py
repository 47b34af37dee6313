"""A page in the browser to try a server with, of which it knows the address alone."""

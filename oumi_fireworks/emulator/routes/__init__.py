"""The routes: one file for each kind of resource, from the request to the answer."""

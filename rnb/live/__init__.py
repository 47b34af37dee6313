"""A pipeline that goes on serving: requests come one by one, and each gets its answer."""

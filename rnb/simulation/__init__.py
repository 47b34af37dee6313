"""A run that is only worked out: the runner's rules as discrete events, with service times that are given."""

"""The processes of a run: the sender, the runners with their workers, and the supervisor of all.

They know a plan and a transport's interfaces; they import neither observers nor records.
"""

"""From a config to a plan: which replicas of which steps run where, joined by which queues and slots.

Everything that can be wrong with a config is found here, before a process exists. It imports the contract.
"""

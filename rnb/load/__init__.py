"""Which requests arrive when: arrival processes, schedules, replays, and where their payloads come from.

It imports the contract and, to replay a run, the record.
"""

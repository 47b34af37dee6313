from dataclasses import dataclass
from rnb.stop import Termination
@dataclass(kw_only=True)
class Ending:
    start_ns: int | None
    reason: Termination
    failure: str | None
    traceback: str
    table: object
    arrivals_ns: object
def report(benchmark, folder, ending):
    import numpy as np, sys
    t=ending.table
    print(ending.reason, ending.failure)
    print(ending.traceback)
    print(np.unique(t.outcomes['status'],return_counts=True), t.outcomes[:5], t.replicas[:5])
    ok=(t.times>0).all(axis=1)
    d=np.diff(t.times[ok],axis=1)/1e3
    for e0,e1,x in zip(t.events,t.events[1:],d.T): print(f"{e0:20s} {e1:20s} p50 {np.median(x):9.1f} us p99 {np.percentile(x,99):9.1f}")
    last=t.times.max()
    print("rate", len(t.times)/((last-ending.start_ns)/1e9) if ending.start_ns else None)
    return ending.failure is None and ending.reason==0

"""RnB: plays a load through a pipeline of replicated steps, and measures it.

The author of a step needs `from rnb.contract import Step, …`; `rnb.play.play` runs a pipeline, and
`rnb.run_folder.read` reads the folder of a run. docs/architecture.md shows the rooms and what each may
import.
"""

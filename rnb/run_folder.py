"""Reading the folder of a run: `rnb.run_folder.read(folder)` gives a `Run`."""

from rnb.record.run_folder import RunFolderError, read

__all__ = ["RunFolderError", "read"]

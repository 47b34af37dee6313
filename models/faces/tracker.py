"""Who is in a video that comes in parts: the last step of a pipeline that is played with --sequences."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, Any

from pydantic import Field

from models.faces.face import FaceResult
from models.faces.tracks import Tracks
from rnb.contract import Batch, Count, Layout, RequestError, StatefulStep, point_of


class FaceTracker(StatefulStep):
    """Follows the faces that FaceRecognizer named through the parts of a video.

    Its one result a sequence comes with the last part: `{"tracks": [{"name", "distance", "first_frame",
    "last_frame", "num_faces"}]}`.
    """

    class Options(StatefulStep.Options):
        least_share: Annotated[float, Field(gt=0, le=1)] = 0.3
        """What the boxes of a face in two frames have in common at least, as a share of their union."""
        most_gap: Count = 30
        """A face that was not seen for more frames begins anew."""

    batches_requests = True
    result_kind = FaceResult

    @classmethod
    def output(cls, options: Any, inputs: Layout) -> Layout:
        if inputs:
            raise ValueError("FaceTracker takes named faces, so FaceRecognizer must come before")
        return ()

    def start(self, sequence: Hashable) -> Tracks:
        return Tracks(least_share=self.options.least_share, most_gap=self.options.most_gap)

    def __call__(self, batch: Batch) -> Batch:
        results = []
        for request in batch.requests:
            point = point_of(request)
            assert point is not None  # the others do not come here
            if not isinstance(request.payload, dict) or "frames" not in request.payload:
                raise RequestError("FaceTracker takes the faces of a video's frames", [request.id])
            tracks: Tracks = self.states[point.id]
            for frame in request.payload["frames"]:
                tracks.add(frame["frame"], frame["faces"])
            results.append({"tracks": tracks.described()} if point.is_end else None)
        return batch.give(payloads=results)

    def end(self, sequence: Hashable, state: Any) -> None:
        """There is nothing to give back."""

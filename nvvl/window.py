"""Which part of a picture is given out: it is scaled to one size, and the middle of that is cut out."""

from __future__ import annotations

from dataclasses import dataclass

from nvvl.picture import UPRIGHT, Orientation


@dataclass(frozen=True)
class Window:
    """`width` x `height` pixels, from (`left`, `top`) on, of a picture that is scaled to `scaled_width` x
    `scaled_height`."""

    width: int
    height: int
    scaled_width: int
    scaled_height: int
    left: int
    top: int

    @classmethod
    def centred(cls, width: int, height: int, resize: tuple[int, int] | None = None) -> Window:
        """The middle of a picture scaled to `resize` (width, height), or all of one scaled to the output.

        What cannot be halved is rounded to even, as torchvision's `center_crop` does.

        Raises:
            ValueError: the output is larger than the scaled picture.
        """
        scaled_width, scaled_height = resize or (width, height)
        if scaled_width < width or scaled_height < height:
            raise ValueError(
                f"resize: {scaled_width} x {scaled_height}, must be at least the output's {width} x {height}"
            )
        left, top = round((scaled_width - width) / 2), round((scaled_height - height) / 2)
        return cls(width, height, scaled_width, scaled_height, left, top)

    @property
    def rows(self) -> slice:
        """Of the scaled picture."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Of the scaled picture."""
        return slice(self.left, self.left + self.width)

    def stored(self, orientation: Orientation) -> Window:
        """The same part of the picture as it is stored, before it is turned."""
        if orientation is UPRIGHT:
            return self
        across = (self.width, self.scaled_width, self.left)
        down = (self.height, self.scaled_height, self.top)
        if orientation.transposed:
            across, down = down, across
        width, scaled_width, left = across
        height, scaled_height, top = down
        if orientation.flip_x:
            left = scaled_width - width - left
        if orientation.flip_y:
            top = scaled_height - height - top
        return Window(width, height, scaled_width, scaled_height, left, top)

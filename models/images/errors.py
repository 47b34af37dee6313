"""What can be wrong with an image."""


class ImageError(ValueError):
    """An image that cannot be used; the message is one line that names it and says why."""


def damaged(name: str) -> ImageError:
    """Of an image whose header is right."""
    return ImageError(f"{name}: damaged: it cannot be decoded")

"""The bit reader that both standards describe their headers for (ITU-T H.264 and H.265, 7.2 and 9.1, 9.2)."""

from __future__ import annotations


class Bits:
    """Reads a unit bit by bit; EOFError at its end."""

    def __init__(self, data: bytes) -> None:
        data = data.replace(b"\x00\x00\x03", b"\x00\x00")
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    @property
    def num_left(self) -> int:
        return self._left

    def take(self, count: int) -> int:
        self.skip(count)
        return self._value >> self._left & ((1 << count) - 1)

    def skip(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise EOFError

    def ue(self) -> int:
        """An Exp-Golomb number (H.264, 9.1)."""
        num_zeros = 0
        while not self.take(1):
            num_zeros += 1
        return (1 << num_zeros) - 1 + self.take(num_zeros)

    def se(self) -> int:
        number = self.ue()
        return (number + 1) // 2 if number % 2 else -(number // 2)

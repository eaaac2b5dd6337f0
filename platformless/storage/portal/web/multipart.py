"""The field `file` of a multipart form, as it comes in."""

from __future__ import annotations

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ..errors import BadRequest

FIELD = b"file"
_LONGEST_HEADERS = 16 << 10


class FileField:
    """A push parser: feed it the body, it gives back the bytes of the first field `file`.

    Args:
        content_type: The request's.

    Raises:
        BadRequest: when the content type names no boundary.
    """

    def __init__(self, content_type: str) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise BadRequest("a multipart body without a boundary", got=content_type[:80])
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_end": self._finish,
            },
        )
        self._name = bytearray()
        self._value = bytearray()
        self._disposition = b""
        self._header_bytes = 0
        self._is_in_file = False
        self._has_file = False
        self._is_whole = False
        self._found = bytearray()

    def feed(self, data: bytes) -> bytearray:
        """The part of the field in this piece of the body.

        Raises:
            BadRequest
        """
        self._found = bytearray()
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise BadRequest("not a multipart body", got=str(error)[:80]) from error
        return self._found

    def finish(self) -> None:
        """The body is over.

        Raises:
            BadRequest: when it stopped early, or had no field `file`.
        """
        if not self._is_whole:
            raise BadRequest("a multipart body that ends early", expected="a last boundary")
        if not self._has_file:
            raise BadRequest("a form without a file", expected="the field `file`")

    def _begin(self) -> None:
        self._disposition = b""
        self._header_bytes = 0

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += self._counted(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._counted(data[start:end])

    def _counted(self, piece: bytes) -> bytes:
        self._header_bytes += len(piece)
        if self._header_bytes > _LONGEST_HEADERS:
            raise BadRequest(
                "headers of a part too long",
                expected=f"at most {_LONGEST_HEADERS} bytes",
                got=self._header_bytes,
            )
        return piece

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._is_in_file = not self._has_file and options.get(b"name") == FIELD
        self._has_file = self._has_file or self._is_in_file

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._is_in_file:
            self._found += data[start:end]

    def _end(self) -> None:
        self._is_in_file = False

    def _finish(self) -> None:
        self._is_whole = True

"""How what is sent is kept while it is received."""

from __future__ import annotations

import tempfile
from typing import IO, Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from api.exceptions import UploadIncomplete


class WholeUploads(FileUploadHandler):
    """Refuses a file that ends before its envelope does; Django by itself would forget it."""

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data  # for the handlers that keep it

    def file_complete(self, file_size: int) -> UploadedFile | None:
        return None

    def upload_interrupted(self) -> None:
        raise UploadIncomplete


class NamelessUploads(FileUploadHandler):
    """Keeps what is large on the disk, under no name: nothing is left of it when the process ends,
    however it does. Django's own handler gives it one."""

    _file: IO[bytes]

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - the request closes it

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._file.write(raw_data)

    def file_complete(self, file_size: int) -> UploadedFile:
        self._file.seek(0)
        return UploadedFile(
            file=self._file,
            name=self.file_name,
            content_type=self.content_type,
            size=file_size,
            charset=self.charset,
            content_type_extra=self.content_type_extra,
        )

    def upload_interrupted(self) -> None:
        self._file.close()

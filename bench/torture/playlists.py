"""Uploads that ask to be replaced by something else: playlists, manifests, references.

FFmpeg follows them when it is let: to files of the server, and to addresses that only the server
can reach. Each of these names a valid recording, or a socket that counts who calls.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.uploads import box, mov_of_alias, sound_track

EXTENSIONS: Final = (
    "aac", "flac", "m4a", "mka", "mkv", "mp3", "mp4", "oga", "ogg", "opus", "wav", "weba", "webm",
)  # fmt: skip
"""Of the recordings that are accepted."""


class Listener:
    """A socket on the loopback, and how often somebody connected to it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        threading.Thread(target=self._count, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/recording.wav"

    def _count(self) -> None:
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:  # closed
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    try:
        yield listener
    finally:
        listener.close()


def hls(*lines: str) -> bytes:
    head = "#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:9"
    return "\n".join([*head, *lines, "#EXT-X-ENDLIST", ""]).encode()


def dash(base: str, prolog: str = "") -> bytes:
    return (
        f'<?xml version="1.0"?>{prolog}<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" mediaPresentationDuration="PT9S">'
        '<Period duration="PT9S"><AdaptationSet mimeType="audio/mp4">'
        f'<Representation id="a" bandwidth="64000" codecs="mp4a.40.2">{base}</Representation>'
        "</AdaptationSet></Period></MPD>"
    ).encode()


def concat(name: str) -> bytes:
    return f"ffconcat version 1.0\nfile '{name}'\nduration 9\n".encode()


def quicktime_url(url: str) -> bytes:
    """A QuickTime file whose samples lie at ``url``, none in itself."""
    reference = box(b"url ", bytes(4), url.encode() + b"\0")
    track = sound_track(
        16_000, sample_bytes=2, media=box(b"dref", struct.pack(">II", 0, 1), reference)
    )
    return box(b"ftyp", b"qt  ", bytes(4)) + track


def playlists(target: Path, url: str) -> dict[str, bytes]:
    """By name. ``target`` is a valid recording on this machine, ``url`` that of a listener."""
    absolute, relative = str(target), target.name
    itself = "question"  # what the upload is called, but for its extension
    templates = f'<SegmentTemplate media="{url}" initialization="{url}" duration="9"/>'
    entity = f'<!DOCTYPE MPD [<!ENTITY x SYSTEM "file://{absolute}">]>'
    plain = hls(f"#EXTINF:9,\n{absolute}")
    return {
        "HLS, absolute path": plain,
        "HLS, relative path": hls(f"#EXTINF:9,\n{relative}"),
        "HLS, parent folder": hls(f"#EXTINF:9,\n../{target.parent.name}/{relative}"),
        "HLS, file URL": hls(f"#EXTINF:9,\nfile://{absolute}"),
        "HLS, loopback URL": hls(f"#EXTINF:9,\n{url}"),
        "HLS, master of a URL": hls(f"#EXT-X-STREAM-INF:BANDWIDTH=9\n{url}"),
        "HLS, key at a URL": hls(f'#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:9,\n{absolute}'),
        "HLS, header at a URL": hls(f'#EXT-X-MAP:URI="{url}"\n#EXTINF:9,\n{absolute}'),
        "HLS, protocol concat": hls(f"#EXTINF:9,\nconcat:{absolute}|{url}"),
        "HLS, protocol subfile": hls(f"#EXTINF:9,\nsubfile,,start,0,end,0,,:{absolute}"),
        "HLS, itself": hls(*(f"#EXTINF:9,\n{itself}.{extension}" for extension in EXTENSIONS)),
        "HLS, behind a tag": b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + plain,
        "HLS, behind a mark": b"\xef\xbb\xbf" + plain,
        "HLS, in a WAV": b"RIFF" + struct.pack("<I", 4 + len(plain)) + b"WAVE" + plain,
        "HLS, behind FLAC's name": b"fLaC" + plain,
        "HLS, behind Ogg's name": b"OggS" + plain,
        "DASH, absolute path": dash(f"<BaseURL>{absolute}</BaseURL>"),
        "DASH, relative path": dash(f"<BaseURL>{relative}</BaseURL>"),
        "DASH, loopback URL": dash(f"<BaseURL>{url}</BaseURL>"),
        "DASH, segments at a URL": dash(templates),
        "DASH, external entity": dash("<BaseURL>&x;</BaseURL>", entity),
        "concat, absolute path": concat(absolute),
        "concat, relative path": concat(relative),
        "concat, loopback URL": concat(url),
        "concat, itself": b"".join(concat(f"{itself}.{extension}") for extension in EXTENSIONS),
        "M3U": f"{absolute}\n{url}\n".encode(),
        "PLS": f"[playlist]\nFile1={url}\nNumberOfEntries=1\n".encode(),
        "XSPF": f'<playlist version="1"><trackList><track><location>{url}</location></track>'
        "</trackList></playlist>".encode(),
        "SDP": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        b"m=audio 9 RTP/AVP 0\n",
        "QuickTime, absolute path": mov_of_alias(target),
        "QuickTime, loopback URL": quicktime_url(url),
    }

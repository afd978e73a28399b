"""A store that speaks S3's protocol, on loopback (https://docs.getmoto.org)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Whoever has them may do anything here; botocore would look for others, elsewhere.
KEYS = {"AWS_ACCESS_KEY_ID": "voicebot", "AWS_SECRET_ACCESS_KEY": "of no consequence"}
BUCKET = "speech"


@contextmanager
def serving() -> Iterator[str]:
    """Its address; it holds the empty bucket ``BUCKET``."""
    from moto.server import ThreadedMotoServer

    os.environ |= KEYS
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    try:
        client(url).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        server.stop()


def client(url: str) -> Any:
    import boto3

    return boto3.client("s3", endpoint_url=url, region_name="us-east-1")


def address(url: str, bucket: str = BUCKET) -> str:
    """``VOICEBOT_SPEECH_STORE``."""
    return f"s3://{bucket}/home?endpoint_url={url}&region_name=us-east-1"

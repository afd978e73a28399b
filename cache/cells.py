"""Cells of the admin's lists, in two lines: what is looked for, and what there is besides."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.html import format_html
from django.utils.safestring import SafeString


def two_lines(first: str, second: str) -> SafeString:
    return format_html("{}<small>{}</small>", first, second)


def moment(when: datetime) -> SafeString:
    """The day, and under it the hour."""
    local = timezone.localtime(when)
    return two_lines(date_format(local, "SHORT_DATE_FORMAT"), time_format(local))

"""What can go wrong with conversations, besides what a turn may raise."""

from __future__ import annotations

from django.utils.translation import gettext as _

from pipeline.errors import InputError


class ConversationNotFound(InputError):
    code = "conversation_not_found"

    def __init__(self) -> None:
        super().__init__(_("There is no such conversation."))


class TurnNotFound(InputError):
    code = "turn_not_found"

    def __init__(self) -> None:
        super().__init__(_("There is no such turn in this conversation."))


class NotKept(InputError):
    """What a turn is to be tried again from."""

    code = "not_kept"


class ConversationBusy(InputError):
    code = "conversation_busy"

    def __init__(self, retry_after_s: int) -> None:
        """``retry_after_s``: when it is worth asking again, in seconds."""
        self.retry_after_s = retry_after_s
        super().__init__(_("Another turn of this conversation is still being taken."))

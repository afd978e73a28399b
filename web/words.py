"""What the scripts of the page say. What the template says is marked there."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

WORDS: dict[str, str | Promise] = {
    # --- what goes on ---
    "idle": _("Hold to talk"),
    "idle_hint": _("or tap once, or hold the space bar"),
    "idle_hint_touch": _("or tap once"),
    "opening": _("Asking for the microphone…"),
    "opening_hint": _("Your browser may ask you to allow it."),
    "recording": _("I am listening"),
    "recording_held": _("release to send · Escape throws it away"),
    "recording_held_touch": _("release to send"),
    "recording_tapped": _("tap to send · Escape throws it away"),
    "recording_tapped_touch": _("tap to send"),
    "recording_ends": _("%(seconds)s left"),
    "recording_silent": _("I hear nothing: is the microphone muted?"),
    "listening": _("I am listening to what you said…"),
    "thinking": _("I am thinking…"),
    "speaking": _("I am answering"),
    "blocked": _("Your answer is here"),
    "blocked_hint": _("tap anywhere to hear it"),
    "heard_aloud": _("Heard: %(text)s"),
    # --- a turn ---
    "play": _("Play the answer"),
    "pause": _("Pause"),
    "copied": _("Copied"),
    "copy": _("Copy the answer"),
    "position": _("%(position)s of %(duration)s"),
    "first_audio": _("first sound after %(seconds)s"),
    "stage_decode": _("Reading the recording"),
    "stage_wait": _("Waiting for others"),
    "stage_stt": _("Listening"),
    "stage_llm": _("Thinking"),
    "stage_tts": _("Speaking"),
    "stage_left": _("outside"),
    "stage_remembered": _("said before"),
    "stopped": _("Stopped."),
    "kept_here": _("nothing left the server"),
    "left_stt": _("your voice left the server (%(engine)s)"),
    "left_llm": _("your words left the server (%(engine)s)"),
    "left_tts": _("the answer left the server to be spoken (%(engine)s)"),
    "not_remembered": _("The server can keep nothing now: this was not remembered."),
    "forgotten": _("The conversation is deleted."),
    "not_closed": _("The answer broke off here."),
    # --- before anything is said ---
    "stays": _("Nothing of what is said leaves this server."),
    "leaves": _("What is said leaves this server: %(engines)s."),
    "loading": _("The engines are still loading. You can talk already: the answer will wait."),
    "disk_full": _("The server's disk is almost full: it may refuse recordings."),
    # --- settings ---
    "detect": _("detected"),
    "default_voice": _("the usual one"),
    "female": _("female"),
    "male": _("male"),
    "speed_value": _("%(speed)s ×"),
    # --- what went wrong, and what to do ---
    "again": _("Send again"),
    "again_in": _("Sent again in %(seconds)s"),
    "mic_refused": _("The microphone is refused."),
    "mic_refused_advice": _(
        "Allow it with the icon beside the page's address, then talk again. "
        "You can also send a file."
    ),
    "mic_absent": _("No microphone is found."),
    "mic_absent_advice": _("Plug one in or choose one in your system's settings, or send a file."),
    "mic_taken": _("The microphone does not answer."),
    "mic_taken_advice": _("Another program may be using it: close that, then talk again."),
    "insecure": _("The browser gives no microphone to this address."),
    "insecure_advice": _(
        "It does so only on https:// pages and on localhost. "
        "Open the page under such an address, or send a file."
    ),
    "browser_old": _("This browser cannot record."),
    "browser_old_advice": _("Use a current Firefox, Chrome or Safari, or send a file."),
    "too_short": _("That was too short."),
    "too_short_advice": _("Hold while you talk, or tap once to begin and once to send."),
    "no_speech": _("I heard nobody speak."),
    "no_speech_advice": _("Come closer to the microphone and talk again."),
    "key_needed": _("This server opens to those who have a key."),
    "key_needed_advice": _("Your question is kept. Ask whoever runs the server for one."),
    "key_refused": _("This key does not open it."),
    "key_refused_advice": _("Your question is kept. Ask whoever runs the server for another one."),
    "engine_busy": _("I am busy with others."),
    "engine_busy_advice": _("Your question is kept, and sent again by itself."),
    "conversation_busy": _("Another question of this conversation is being answered."),
    "conversation_busy_advice": _("Your question is kept, and sent again by itself."),
    "audio_too_long": _("That was too long."),
    "audio_too_long_advice": _("%(detail)s Ask in fewer words."),
    "upload_too_large": _("That file is too large."),
    "upload_too_large_advice": _("At most %(size)s MB are accepted: send a shorter recording."),
    "audio_unreadable": _("That is no recording I can read."),
    "audio_unreadable_advice": _("Send WebM, Ogg, MP4, MP3, AAC, FLAC or WAV audio."),
    "unreachable": _("The server does not answer."),
    "unreachable_advice": _(
        "Your question is kept. Check the connection, or ask whoever runs the server; "
        "then send it again."
    ),
    "cut_off": _("The connection broke off."),
    "cut_off_advice": _("What has come is kept. Send the question again for the whole answer."),
    "engine_timeout": _("That took too long."),
    "engine_timeout_advice": _("Your question is kept: send it again, or ask something shorter."),
    "engine_unavailable": _("The assistant is not complete."),
    "engine_unavailable_advice": _("Whoever runs the server finds in its log what is missing."),
    "failed": _("Something went wrong."),
    "failed_advice": _("%(detail)s Your question is kept: send it again."),
    "refused": _("That cannot be answered."),
    "refused_advice": _("%(detail)s"),
}
"""A name that ends in ``_advice`` says what to do about the error without it; errors of the API
have the names of their codes."""


def words() -> dict[str, str]:
    """In the language of the request."""
    return {name: str(text) for name, text in WORDS.items()}

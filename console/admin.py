"""Pages of the admin that need more than one app to be told."""

import console.conversations_admin
import console.turns_admin  # noqa: F401 - they register themselves

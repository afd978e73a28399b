"""Uploads become samples, in a process that has nothing to lose.

Nobody vouches for an upload, and what reads it is a million lines of C. So no upload is read where
the engines, the keys and the other users' turns are::

    server                    nursery                        child, one for each upload
    client.decode ── hands ─▶ numpy and PyAV, no Django; ──▶ containers: what is it really?
         ▲                    no network, no files;  forks   samples: decoded, mono, 16 kHz
         └──────────── samples, or why there are none ◀───── bounded in memory, time and files

- ``client`` is the server's side: it starts the nursery, waits, and believes nothing unchecked.
- ``nursery`` is the program that forks, kills what takes too long, and ends with the server.
- ``confinement`` says what nursery and child may not do.
- ``containers``, ``samples`` and ``refusals`` are what a child runs. They import no Django: the
  nursery must stay small, and what it has not loaded cannot leak.
"""

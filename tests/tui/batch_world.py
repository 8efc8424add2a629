"""Batches whose process is a task of the test: the real journal, mailbox and conductor, a made-up engine."""

import asyncio
import itertools
import os

from nsmig_tui.domain.batch_view import BatchView
from nsmig_tui.engine.batch.client import Batches
from nsmig_tui.engine.batch.conductor import Conductor
from nsmig_tui.engine.batch.journal import Journal, JournalTail
from nsmig_tui.engine.batch.mailbox import collect


class BatchesHere(Batches):
    """``tasks``: the "process" of each batch. Cancelling one is its SIGTERM."""

    def __init__(self, data_dir, parts):
        super().__init__(data_dir, (), "marc@ops1")
        self.parts, self.tasks = parts, {}
        self.loop = None

    def _spawn(self, place, secrets, more):
        lock = place.take_lock()
        assert lock is not None, "a process works on it"
        before = BatchView(place.spec())
        for at, event in JournalTail(place).events():
            before.take(event, at)
        journal = Journal(place, self.parts.clock)
        conductor = Conductor(
            self.parts.engine,
            place.spec(),
            journal,
            before=before,
            retry="--retry" in more,
            leave=[key for word, key in itertools.pairwise(more) if word == "--leave"],
            mailbox=lambda: collect(place),
            clock=self.parts.clock,
        )

        async def work():
            try:
                await conductor.run()
            finally:
                journal.close()
                os.close(lock)

        def begin():
            self.tasks[place.batch] = asyncio.get_running_loop().create_task(work())

        self.loop.call_soon_threadsafe(begin)

    async def over(self):
        """Return when all of them have ended."""
        if self.tasks:
            await asyncio.wait(list(self.tasks.values()))

    async def kill(self):
        """End them all as SIGTERM does."""
        for task in self.tasks.values():
            task.cancel()
        await self.over()

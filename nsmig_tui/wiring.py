"""Wiring: builds store, connector and engine from Settings; the one place that knows all parts."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from .domain.ports import AskHostKey, AskPassword
from .settings import Settings, make_private, need_ssh_config

if TYPE_CHECKING:
    from .domain.ports import Connector, EngineApi
    from .engine.batch.client import Batches
    from .remote.secret import Secret
    from .store.fleet_store import Store


class App:
    """The parts, each made when first asked for: a look at the database must not load an SSH library."""

    def __init__(
        self,
        settings: Settings,
        ask_host_key: AskHostKey | None = None,
        ask_password: AskPassword | None = None,
        batch: str = "",
    ) -> None:
        self.settings = settings
        self._batch = batch
        self._ask_host_key = ask_host_key
        self._ask_password = ask_password
        self._typed: dict[str, Secret] = {}

    @cached_property
    def store(self) -> Store:
        """The operator's database. Raises Refused with what to do when it cannot be used."""
        from .store.fleet_store import Store

        make_private(self.settings.data_dir)
        return Store(self.settings.database)

    @cached_property
    def connector(self) -> Connector:
        """The shared SSH connections. Raises UsageError for a configuration that cannot be read."""
        from .remote.ssh_transport import SshConnector

        need_ssh_config(self.settings)
        return SshConnector(
            ssh_config=self.settings.ssh_config,
            ask_host_key=self._ask_host_key,
            ask_password=self._remembering if self._ask_password else None,
        )

    async def _remembering(self, prompt: str) -> str | None:
        from .remote.secret import Secret

        assert self._ask_password is not None
        answer = await self._ask_password(prompt)
        if answer is not None:
            self._typed[prompt] = Secret(answer)
        return answer

    def typed(self) -> dict[str, str]:
        """What was asked for and typed in this process: prompt -> secret, for a batch's process only."""
        return {prompt: secret.reveal() for prompt, secret in self._typed.items()}

    @cached_property
    def engine(self) -> EngineApi:
        """The engine over the two."""
        from .engine.engine import Engine
        from .remote.script_loader import load_script

        return Engine(
            self.store,
            self.connector,
            scripts=load_script,
            operator=self.settings.operator,
            services=self.settings.services,
            batch=self._batch,
        )

    @cached_property
    def batches(self) -> Batches:
        """The batches of this data directory: start, see, watch and steer them."""
        from .engine.batch.client import Batches

        settings = self.settings
        make_private(settings.data_dir)
        words = ["--data-dir", str(settings.data_dir), "--config-dir", str(settings.config_dir)]
        if settings.ssh_config is not None:
            words += ["--ssh-config", str(settings.ssh_config)]
        return Batches(settings.data_dir, words, settings.operator)

    async def hang_up(self) -> None:
        """End the connections; nothing can be asked of a vnode afterwards."""
        if "connector" in self.__dict__:
            await self.connector.close()

    async def close(self) -> None:
        """End the connections and close the database, as far as they were opened."""
        if "connector" in self.__dict__:
            await self.connector.close()
        if "store" in self.__dict__:
            self.store.close()


def build(
    settings: Settings,
    ask_host_key: AskHostKey | None = None,
    ask_password: AskPassword | None = None,
    batch: str = "",
) -> App:
    """The application for ``settings``. Without the two asks, unknown hosts and passwords are refused.

    ``batch``: the one that all runs of this process belong to.
    """
    return App(settings, ask_host_key, ask_password, batch)

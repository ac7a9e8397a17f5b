"""The toolkit that puts a global ``rawr`` on a machine and keeps it honest.

Names of the public library are resolved on first use, so that importing the
package costs nothing: the dispatch path starts here.
"""

from __future__ import annotations

__version__ = "0.2.0.dev0"

_PUBLIC = {
    "state": (
        "RepoState",
        "RepoStateMutationOptions",
        "RepoStateMutationResult",
        "RepoStateMutator",
        "default_repo_state",
        "disable_plugin",
        "enable_plugin",
        "get_repo_state",
        "mutate_repo_state_atomically",
        "set_repo_state",
        "state_lock_path",
        "state_path",
    ),
    "plugins.install_state": ("assess_install_state",),
    "events.telemetry": (
        "REQUIRED_RUN_LIFECYCLE_EVENT_TYPES",
        "REQUIRED_RUN_LIFECYCLE_STATUS_BY_EVENT",
        "CreateDeskEventInput",
        "TraceLinkOptions",
        "create_desk_event",
        "default_trace_links",
    ),
    "errors": (
        "LeaseLostError",
        "LockTimeoutError",
        "NestedMutationError",
        "NotDurableError",
        "RawrError",
        "StateCorruptError",
        "StateError",
        "StateUnreadableError",
        "StateVersionError",
    ),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}


TYPE_CHECKING = False  # typing's own constant would cost importing typing

if TYPE_CHECKING:
    from rawr_install.errors import (
        LeaseLostError as LeaseLostError,
        LockTimeoutError as LockTimeoutError,
        NestedMutationError as NestedMutationError,
        NotDurableError as NotDurableError,
        RawrError as RawrError,
        StateCorruptError as StateCorruptError,
        StateError as StateError,
        StateUnreadableError as StateUnreadableError,
        StateVersionError as StateVersionError,
    )
    from rawr_install.events.telemetry import (
        REQUIRED_RUN_LIFECYCLE_EVENT_TYPES as REQUIRED_RUN_LIFECYCLE_EVENT_TYPES,
        REQUIRED_RUN_LIFECYCLE_STATUS_BY_EVENT as REQUIRED_RUN_LIFECYCLE_STATUS_BY_EVENT,
        CreateDeskEventInput as CreateDeskEventInput,
        TraceLinkOptions as TraceLinkOptions,
        create_desk_event as create_desk_event,
        default_trace_links as default_trace_links,
    )
    from rawr_install.plugins.install_state import assess_install_state as assess_install_state
    from rawr_install.state import (
        RepoState as RepoState,
        RepoStateMutationOptions as RepoStateMutationOptions,
        RepoStateMutationResult as RepoStateMutationResult,
        RepoStateMutator as RepoStateMutator,
        default_repo_state as default_repo_state,
        disable_plugin as disable_plugin,
        enable_plugin as enable_plugin,
        get_repo_state as get_repo_state,
        mutate_repo_state_atomically as mutate_repo_state_atomically,
        set_repo_state as set_repo_state,
        state_lock_path as state_lock_path,
        state_path as state_path,
    )
else:

    def __getattr__(name: str) -> object:
        """Import a public name's home module when the name is first asked for (PEP 562)."""
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})

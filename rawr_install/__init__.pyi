"""The public library: every name, and the module that is its home. Read by type checkers, and by the package itself."""

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

__version__: str

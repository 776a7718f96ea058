"""The demo mailbox: a salesperson's week, written by hand and dated so that it is always this one.

Its mail stands in `threads/`, its people and CRM records in `cast.toml`; README.md says how to write more.
`script` reads the files, `stage` gives them their times, `clients` their looks, and `load_demo` files it all.
"""

from typing import Any, Final

from salesos_inbox.contract.models import SaveDraft, SendEmail
from salesos_inbox.sandbox.messages import StoredMessage
from salesos_inbox.sandbox.seed.script import Script, read_script
from salesos_inbox.sandbox.seed.stage import StagedThread, stage
from salesos_inbox.sandbox.store import Store

DEMO_USER: Final = "maya@northwind-robotics.example"
"""The address of the demo mailbox's owner."""


def load_demo(store: Store) -> str:
    """Fill the store with the demo mailbox as it stands at the store's present, and return its user's id.

    A demo mailbox that is there already is left as it is.
    """
    with store.transaction():
        user_id = store.add_user(DEMO_USER, "Maya", "Lindqvist", "northwind-robotics")
        if not store.count_threads(user_id):
            _fill(store, user_id, read_script())
    return user_id


def _fill(store: Store, user_id: str, script: Script) -> None:
    for name in script.folders:
        store.add_folder(user_id, name)
    for kind, key, name in script.records:
        store.add_crm_record(user_id, kind, name, entity_id=key)
    for thread in stage(script, store.now()):
        _file(store, user_id, thread)


def _file(store: Store, user_id: str, thread: StagedThread) -> None:
    script, thread_id = thread.script, None
    for message in thread.messages:
        filed = store.file_message(
            user_id,
            message,
            folder=script.folder,
            is_read=script.is_read,
            is_starred=script.is_starred,
            thread_id=thread_id,
        )
        thread_id = filed.thread_id
    for draft in thread.drafts:
        store.save_draft(user_id, SaveDraft(**_unsent(draft, thread_id)))
    for message in thread.scheduled:
        store.schedule(user_id, SendEmail(**_unsent(message, thread_id), scheduled_for=message.sent_at))
    if thread_id:
        for kind, key in script.records:
            store.link_crm(user_id, thread_id, kind, key)
        if thread.follow_up:
            store.set_follow_up(user_id, thread_id, *thread.follow_up)


def _unsent(message: StoredMessage, thread_id: str | None) -> dict[str, Any]:
    return {
        "to": [*message.to],
        "cc": [*message.cc],
        "subject": message.subject,
        "body_text": message.body_text,
        "in_reply_to": message.in_reply_to,
        "thread_id": thread_id,
    }

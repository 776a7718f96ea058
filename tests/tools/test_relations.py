"""CRM links and follow-ups."""

import pytest

from harness import open_office

pytestmark = pytest.mark.anyio


async def test_a_follow_up_is_set_in_local_time_and_undone() -> None:
    async with open_office() as office:
        thread_id = (await office.thread_ids())[3]
        answer = await office.call("set_follow_up", thread_id=thread_id, remind_at="2026-11-25T09:00:00")
        undo_id = answer.pop("undo_id")
        assert answer == {
            "status": "set",
            "thread_id": thread_id,
            "local_time": "2026-11-25T09:00+01:00",
            "zone": "Europe/Berlin",
            "utc_time": "2026-11-25T08:00+00:00",
        }
        assert (await office.call("undo_change", undo_id=undo_id))["results"][0]["outcome"] == "done"

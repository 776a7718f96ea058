"""Faults of the account and of the endpoints: who we are, and what the answers look like."""

import json

import pytest
from inline_snapshot import snapshot

from clinic import Answer, Computer, Service, serving, skipped, told
from salesos_inbox.doctor.finding import Status
from salesos_inbox.sandbox.app import UNLIMITED, Limits

pytestmark = pytest.mark.anyio


# The account


async def test_a_token_that_was_revoked(computer: Computer, service: Service) -> None:
    account = service.account
    service.store.access._db.execute("DELETE FROM sessions")  # pyright: ignore[reportPrivateUsage] -- as signing out does
    findings = await computer.examine(**account)
    assert told(findings, service.port) == snapshot(
        [
            "failed   sign-in  the service does not accept the token (unknown, ended or revoked)",
            "                  → Set a new SALESOS_TOKEN, or leave it out and run `salesos-inbox-mcp auth",
            "                    login`, and restart the server.",
            "",
            "1 thing to mend.",
        ]
    )
    assert skipped(findings)["threads"] == "as sign-in is not ok"


async def test_a_key_without_the_scope_to_read(computer: Computer, service: Service) -> None:
    key = service.store.add_api_key(service.user_id, ["write"])
    findings = await computer.examine(SALESOS_BASE_URL=f"{service.origin}/v1", SALESOS_API_KEY=key)
    assert told(findings, service.port) == snapshot(
        [
            "failed   sign-in  the key lacks the scope read",
            "                  → Have a key made that has the scope read.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_key_that_may_read_is_not_tried_by_writing(computer: Computer, service: Service) -> None:
    key = service.store.add_api_key(service.user_id, ["read"])
    findings = await computer.examine(SALESOS_BASE_URL=f"{service.origin}/v1", SALESOS_API_KEY=key)
    told_of = {finding.check: finding.found for finding in findings}
    assert (told_of["token"], told_of["CSRF token"], told_of["scopes"]) == snapshot(
        (
            "an API key, from SALESOS_API_KEY; whether it ends is not written in it",
            "none is needed",
            "the key may read; only a change would show whether it may write and delete",
        )
    )
    assert told(findings) == snapshot(["", "All is well."])


async def test_a_key_that_nobody_knows(computer: Computer, service: Service) -> None:
    findings = await computer.examine(SALESOS_BASE_URL=f"{service.origin}/v1", SALESOS_API_KEY="sk_planted")
    assert told(findings, service.port) == snapshot(
        [
            "failed   sign-in  the service does not accept the key (unknown, ended or revoked)",
            "                  → Set a new SALESOS_API_KEY, or leave it out and run `salesos-inbox-mcp auth",
            "                    login`, and restart the server.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_an_organization_that_is_not_the_users(computer: Computer, service: Service) -> None:
    findings = await computer.examine(**service.account, SALESOS_ORGANIZATION_ID="planted-organization")
    assert told(findings, service.port) == snapshot(
        [
            "failed   sign-in  the service does not let this user into the organization",
            "                  → Correct SALESOS_ORGANIZATION_ID, or remove it.",
            "",
            "1 thing to mend.",
        ]
    )


# Shapes


@pytest.mark.parametrize("envelope", ["items", "data", "plural", "cursor"])
async def test_every_known_envelope_is_well(computer: Computer, envelope: str) -> None:
    async with serving(envelope=envelope) as service:
        findings = await computer.examine(**service.account)
    assert told(findings) == ["", "All is well."]
    [line] = [finding.found for finding in findings if finding.check == "threads"]
    assert (
        line
        == {
            "items": "5 threads (under items)",
            "data": "5 threads (under data)",
            "plural": "5 threads (under threads)",
            "cursor": "5 threads (under items)",
        }[envelope]
    )


async def test_a_list_under_another_name_can_be_adapted_to(computer: Computer) -> None:
    async with serving(envelope="items") as service:
        service.renamed = {"items": "rows"}
        findings = await computer.examine(**service.account)
    assert told(findings) == snapshot(
        [
            "failed   threads    the list stands under rows",
            "                    → Put into the file that SALESOS_CONTRACT names:",
            '                        routes.list_threads.items = "rows"',
            "failed   search     the list stands under rows",
            "                    → Put into the file that SALESOS_CONTRACT names:",
            '                        routes.search_threads.items = "rows"',
            "failed   scheduled  the list stands under rows",
            "                    → Put into the file that SALESOS_CONTRACT names:",
            '                        routes.list_scheduled.items = "rows"',
            "",
            "3 things to mend.",
        ]
    )


async def test_renamed_fields_are_named_with_the_lines_that_adapt_to_them(computer: Computer, service: Service) -> None:
    service.renamed = {
        "bodyText": "plainText",
        "bodyHtml": "html",
        "fromEmail": "sender",
        "unreadCount": "unread_total",
    }
    findings = await computer.examine(**service.account)
    assert told(findings) == snapshot(
        [
            "warning  folders     9 folders; without unreadCount; likely renamed: unread_total for",
            "                     unreadCount",
            "                     → Put into the file that SALESOS_CONTRACT names:",
            '                         models.Folder.unreadCount = "unread_total"',
            "warning  scheduled   2 emails; likely renamed: plainText for bodyText",
            "                     → Put into the file that SALESOS_CONTRACT names:",
            '                         models.ScheduledEmail.bodyText = "plainText"',
            "failed   one thread  read; without messages.fromEmail, messages.bodyText or bodyHtml; likely",
            "                     renamed: sender for fromEmail, html for bodyHtml, plainText for bodyText",
            "                     → Put into the file that SALESOS_CONTRACT names:",
            '                         models.Message.fromEmail = "sender"',
            '                         models.Message.bodyHtml = "html"',
            '                         models.Message.bodyText = "plainText"',
            "",
            "1 thing to mend, 2 things to look at.",
        ]
    )


async def test_the_lines_that_doctor_names_make_it_well(computer: Computer) -> None:
    lines: set[str] = set()
    async with serving(limits=UNLIMITED, envelope="items") as service:
        service.renamed = {"fromEmail": "sender", "messages": "emails", "items": "rows"}
        findings = await computer.examine(**service.account)
        for _ in range(2):  # what stands in a list is seen once that is found
            lines |= {line for finding in findings for line in finding.remedy.split("\n")[1:]}
            contract = computer.write("contract.toml", "\n".join(lines))
            findings = await computer.examine(SALESOS_CONTRACT=str(contract))
    assert sorted(lines) == snapshot(
        [
            'models.Message.fromEmail = "sender"',
            'models.Thread.messages = "emails"',
            'routes.list_scheduled.items = "rows"',
            'routes.list_threads.items = "rows"',
            'routes.search_threads.items = "rows"',
        ]
    )
    assert told(findings) == snapshot(
        [
            "",
            "All is well.",
        ]
    )


async def test_answers_in_snake_case_are_read_and_the_lines_for_requests_are_named(
    computer: Computer, service: Service
) -> None:
    service.renamed = {"bodyText": "body_text", "bodyHtml": "body_html", "fromEmail": "from_email", "isRead": "is_read"}
    findings = await computer.examine(**service.account)
    [line] = [finding for finding in findings if finding.status != "ok" and finding.status != "skipped"]
    assert line.found == snapshot(
        "answers are in snake case (body_html for bodyHtml), which is read; requests may have to be so too"
    )
    assert 'routes.send_email.rename.bodyHtml = "body_html"' in line.remedy.splitlines()
    assert "to =" not in line.remedy
    contract = computer.write("contract.toml", "\n".join(line.remedy.splitlines()[1:]))
    assert told(await computer.examine(SALESOS_CONTRACT=str(contract))) == ["", "All is well."]


async def test_fields_that_are_missing_and_needed(computer: Computer, service: Service) -> None:
    service.without = frozenset({"subject", "messageCount"})
    assert told(await computer.examine(**service.account)) == snapshot(
        [
            "failed   threads  5 threads; without subject; not seen: messageCount",
            "                  → Report it, with what `doctor --report` writes, as the contract of this",
            "                    server is wrong here.",
            "failed   search   2 threads; without subject; not seen: messageCount",
            "                  → Report it, with what `doctor --report` writes, as the contract of this",
            "                    server is wrong here.",
            "",
            "2 things to mend.",
        ]
    )


async def test_fields_that_may_be_missing_are_told_and_are_no_fault(computer: Computer, service: Service) -> None:
    service.without = frozenset({"snippet", "hasAttachments", "references"})
    findings = await computer.examine(**service.account)
    assert told(findings) == snapshot(["", "All is well."])
    assert next(finding.found for finding in findings if finding.check == "one thread") == snapshot(
        "read; not seen: snippet, hasAttachments, messages.references"
    )


async def test_fields_of_another_type(computer: Computer, service: Service) -> None:
    folders = [{"id": "f1", "name": "Inbox", "type": "inbox", "unreadCount": {"value": 3}, "totalCount": 4}]
    service.answers = lambda path: (200, {}, json.dumps(folders).encode()) if path.endswith("/folders") else None
    assert told(await computer.examine(**service.account)) == snapshot(
        [
            "failed   folders  1 folder; of another type: unreadCount; likely renamed: unreadCount.value for",
            "                  unreadCount",
            "                  → Put into the file that SALESOS_CONTRACT names:",
            '                      models.Folder.unreadCount = "unreadCount.value"',
            "",
            "1 thing to mend.",
        ]
    )


def answering(service: Service, **bodies: object) -> None:
    """Have the service answer with these bodies, by how their paths end."""

    def answers(path: str) -> Answer | None:
        body = next((body for end, body in bodies.items() if path.endswith(f"/{end}")), None)
        return None if body is None else (200, {}, json.dumps(body).encode())

    service.answers = answers


THREAD: dict[str, object] = {
    "id": "t1", "subject": "Hello", "snippet": "", "folder": "inbox", "participants": [], "messageCount": 1,
    "isRead": True, "isStarred": False, "hasAttachments": False, "lastMessageAt": "2026-11-18T08:00:00Z",
    "followUp": None, "crmLinks": [],
}  # fmt: skip


MESSAGE = {"id": "m1", "fromEmail": "a@b.example", "bodyText": "planted"}
WHOLE: dict[str, object] = {**THREAD, "messages": [MESSAGE]}


def without(*names: str) -> dict[str, object]:
    """Return a thread of a list without some of its fields."""
    return {name: value for name, value in THREAD.items() if name not in names}


async def test_a_body_with_nothing_that_is_expected_is_a_fault(computer: Computer, service: Service) -> None:
    answering(service, stats={"slaBreaches": 4, "planted words": 1})
    assert told(await computer.examine(**service.account)) == snapshot(
        [
            "failed   statistics  holds nothing that is expected; unknown: slaBreaches",
            "                     → Report it, with what `doctor --report` writes, as the contract of this",
            "                       server is wrong here.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_what_stands_in_an_object_of_another_name_is_found(computer: Computer, service: Service) -> None:
    answering(service, stats={"result": {"totalThreads": 3}}, me={"result": {"id": "u1", "email": "a@b.example"}})
    findings = await computer.examine(**service.account)
    assert told(findings) == snapshot(
        [
            "failed   statistics  all of it stands under result",
            "                     → Put into the file that SALESOS_CONTRACT names:",
            '                         answers.item = "result"',
            "failed   user        all of it stands under result",
            "                     → What is to be put into the file for statistics mends this too.",
            "",
            "2 things to mend.",
        ]
    )
    lines = {line for finding in findings for line in finding.remedy.split("\n")[1:]}
    contract = computer.write("contract.toml", "\n".join(lines))
    assert told(await computer.examine(SALESOS_CONTRACT=str(contract))) == ["", "All is well."]


async def test_folders_without_kind_and_counts_are_something_to_look_at(computer: Computer, service: Service) -> None:
    answering(service, folders=[{"id": "inbox", "name": "Inbox", "counts": {"new": 3}}])
    assert told(await computer.examine(**service.account)) == snapshot(
        [
            "warning  folders  1 folder; without type, unreadCount; unknown: counts.new; not seen: totalCount",
            "                  → Put into the file that SALESOS_CONTRACT names, with the service's own word",
            '                    in the place of "...":',
            '                      models.Folder.type = "..."',
            '                      models.Folder.unreadCount = "..."',
            "",
            "1 thing to look at.",
        ]
    )


async def test_where_nothing_can_be_guessed_the_line_is_left_open_and_what_there_is_is_named(
    computer: Computer, service: Service
) -> None:
    answering(service, folders=[{"id": "f1", "name": "Inbox", "type": "inbox", "unreadCount": {"a": "x", "b": 1.5}}])
    assert told(await computer.examine(**service.account)) == snapshot(
        [
            "failed   folders  1 folder; of another type: unreadCount; unknown: unreadCount.a, unreadCount.b;",
            "                  not seen: totalCount",
            "                  → Put into the file that SALESOS_CONTRACT names, with the service's own word",
            '                    in the place of "...":',
            '                      models.Folder.unreadCount = "..."',
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_folder_of_a_usual_kind_by_another_word(computer: Computer, service: Service) -> None:
    row = {"name": "Planted words", "unreadCount": 0}
    answering(service, folders=[{**row, "id": kind, "type": kind} for kind in ("system.inbox", "user", "archive")])
    findings = await computer.examine(**service.account)
    assert told(findings) == snapshot(
        [
            "warning  folders  a folder is of one of the usual kinds, by another word",
            "                  → Put into the file that SALESOS_CONTRACT names:",
            '                      values.folder.inbox = "system.inbox"',
            "",
            "1 thing to look at.",
        ]
    )
    contract = computer.write("contract.toml", 'values.folder.inbox = "system.inbox"')
    assert told(await computer.examine(SALESOS_CONTRACT=str(contract))) == ["", "All is well."]


async def test_opposites_are_proposed_as_such(computer: Computer, service: Service) -> None:
    answering(service, threads=[without("isRead", "isStarred") | {"unread": True, "isUnstarred": False}])
    findings = await computer.examine(**service.account)
    [line] = [finding for finding in findings if finding.check == "threads"]
    assert line.remedy.split("\n") == snapshot(
        [
            "Put into the file that SALESOS_CONTRACT names:",
            'models.ThreadSummary.isRead = "!unread"',
            'models.ThreadSummary.isStarred = "!isUnstarred"',
        ]
    )


async def test_a_count_is_no_opposite_of_a_switch(computer: Computer, service: Service) -> None:
    answering(service, threads=[without("isRead") | {"unread": 3, "read": 1}])
    findings = await computer.examine(**service.account)
    [line] = [finding for finding in findings if finding.check == "threads"]
    assert line.remedy == ""
    assert line.found == snapshot("1 thread; unknown: read, unread; not seen: isRead")


async def test_of_several_values_in_an_object_the_one_of_that_name_is_proposed(
    computer: Computer, service: Service
) -> None:
    row = {"id": "f1", "name": "Inbox", "type": "inbox"}
    answering(service, folders=[{**row, "unreadCount": {"total": 9, "unread": 3}, "totalCount": {"a": 1, "b": 2}}])
    [finding] = [finding for finding in await computer.examine(**service.account) if finding.check == "folders"]
    assert told([finding]) == snapshot(
        [
            "failed   folders  1 folder; of another type: unreadCount, totalCount; likely renamed:",
            "                  unreadCount.unread for unreadCount, unreadCount.total for totalCount",
            "                  → Put into the file that SALESOS_CONTRACT names:",
            '                      models.Folder.unreadCount = "unreadCount.unread"',
            '                      models.Folder.totalCount = "unreadCount.total"',
            "",
            "1 thing to mend.",
        ]
    )


async def test_fields_within_objects_are_found(computer: Computer, service: Service) -> None:
    people = [{"email": "b@c.example", "name": "B"}]
    message = {
        "id": "m1", "from": {"email": "a@b.example", "name": "A"}, "toEmails": people, "cc": people, "subject": "Hello",
        "content": {"html": "<p>planted", "text": "planted"}, "times": {"sent": "2026-11-18T08:00:00Z"},
    }  # fmt: skip
    answering(service, threads=[THREAD], t1={**THREAD, "messages": [message]})
    findings = await computer.examine(**service.account)
    [finding] = [finding for finding in findings if finding.check == "one thread"]
    assert told([finding]) == snapshot(
        [
            "failed   one thread  read; without messages.fromEmail, messages.bodyText or bodyHtml; of another",
            "                     type: messages.toEmails; likely renamed: from.email for fromEmail,",
            "                     from.name for fromName, cc[].email for ccEmails, content.html for bodyHtml,",
            "                     content.text for bodyText, toEmails[].email for toEmails; unknown:",
            "                     messages.cc.name, messages.times.sent; not seen: messages.messageId,",
            "                     messages.inReplyTo, messages.references, messages.bccEmails,",
            "                     messages.direction, messages.status, messages.sentAt, messages.receivedAt,",
            "                     messages.attachments",
            "                     → Put into the file that SALESOS_CONTRACT names:",
            '                         models.Message.fromEmail = "from.email"',
            '                         models.Message.fromName = "from.name"',
            '                         models.Message.ccEmails = "cc[].email"',
            '                         models.Message.bodyHtml = "content.html"',
            '                         models.Message.bodyText = "content.text"',
            '                         models.Message.toEmails = "toEmails[].email"',
            "",
            "1 thing to mend.",
        ]
    )
    contract = computer.write("contract.toml", "\n".join(finding.remedy.split("\n")[1:]))
    findings = await computer.examine(SALESOS_CONTRACT=str(contract))
    [finding] = [finding for finding in findings if finding.check == "one thread"]
    assert told([finding], all_of_it=True) == snapshot(
        [
            "ok       one thread  read; unknown: messages.cc.name, messages.times.sent; not seen:",
            "                     messages.messageId, messages.inReplyTo, messages.references,",
            "                     messages.bccEmails, messages.direction, messages.status, messages.sentAt,",
            "                     messages.receivedAt, messages.attachments",
            "",
            "All is well.",
        ]
    )


async def test_a_word_for_a_folder_that_nothing_explains(computer: Computer, service: Service) -> None:
    answering(
        service, t1=WHOLE, threads=[{**THREAD, "folder": folder} for folder in ("@archive", "INBOX", "planted words")]
    )
    assert told(await computer.examine(**service.account)) == snapshot(
        [
            "warning  threads  2 folders that threads are in cannot be found among the folders",
            "                  → Put into the file that SALESOS_CONTRACT names:",
            '                      values.folder.archive = "@archive"',
            "",
            "1 thing to look at.",
        ]
    )
    answering(service, t1=WHOLE, threads=[{**THREAD, "folder": "planted words"}])
    assert told(await computer.examine()) == snapshot(
        [
            "warning  threads  1 folder that threads are in cannot be found among the folders",
            "                  → Put into the file that SALESOS_CONTRACT names, with the service's own word",
            '                    in the place of "...":',
            '                      values.folder.archive = "..."',
            "",
            "1 thing to look at.",
        ]
    )


async def test_folders_of_the_users_own_are_no_strange_words(computer: Computer, service: Service) -> None:
    folders = [{"id": "f7", "name": "Key accounts", "type": "user", "unreadCount": 0}]
    rows = [{**THREAD, "folder": folder} for folder in ("f7", "key accounts", "archive")]
    answering(service, t1=WHOLE, threads=rows, folders=folders)
    assert told(await computer.examine(**service.account)) == ["", "All is well."]


async def test_a_service_without_a_csrf_token(computer: Computer, service: Service) -> None:
    service.answers = lambda path: (404, {}, b"{}") if "csrf" in path else None
    findings = await computer.examine(**service.account)
    assert told(findings) == snapshot(
        [
            "failed   CSRF token  is not there (status 404)",
            "                     → Put into the file that SALESOS_CONTRACT names the first of these lines if",
            "                       the service wants no CSRF token, and else the second, with its path in",
            '                       the place of "...":',
            "                         session.csrf = false",
            '                         routes.get_csrf_token.path = "..."',
            "",
            "1 thing to mend.",
        ]
    )
    contract = computer.write("contract.toml", "session.csrf = false")
    assert told(await computer.examine(SALESOS_CONTRACT=str(contract))) == ["", "All is well."]


async def test_a_parameter_whose_name_the_service_tells(computer: Computer, service: Service) -> None:
    messages = ["property limit should not exist", "pageSize is required"]
    refusal = json.dumps({"statusCode": 400, "message": messages}).encode()
    service.answers = lambda path: (400, {}, refusal) if path.endswith("/scheduled") else None
    assert told(await computer.examine(**service.account)) == snapshot(
        [
            "failed   scheduled  does not know limit",
            "                    → Put into the file that SALESOS_CONTRACT names:",
            '                        routes.list_scheduled.rename.limit = "pageSize"',
            "",
            "1 thing to mend.",
        ]
    )


async def test_unknown_fields_are_named_and_their_values_are_not(computer: Computer, service: Service) -> None:
    stats = {"totalThreads": 4, "slaBreaches": "planted-value", "planted text that is no name": 1}
    service.answers = lambda path: (200, {}, json.dumps(stats).encode()) if path.endswith("/stats") else None
    findings = await computer.examine(**service.account)
    [line] = [finding for finding in findings if finding.check == "statistics"]
    assert (line.status, line.found.partition("; not seen")[0]) == snapshot(
        (
            Status.OK,
            "read; unknown: slaBreaches",
        )
    )


async def test_an_empty_mailbox_is_well(computer: Computer, service: Service) -> None:
    service.answers = lambda path: (200, {}, b"[]") if path.endswith(("/threads", "/search", "/scheduled")) else None
    findings = await computer.examine(**service.account)
    assert told(findings) == snapshot(["", "All is well."])
    assert skipped(findings)["one thread"] == snapshot("there is no thread to read")


async def test_an_endpoint_that_is_not_there(computer: Computer, service: Service) -> None:
    service.answers = lambda path: (404, {}, b'{"statusCode": 404}') if path.endswith("/stats") else None
    assert told(await computer.examine(**service.account)) == snapshot(
        [
            "failed   statistics  is not there (status 404)",
            "                     → Report it, with what `doctor --report` writes, as the contract of this",
            "                       server is wrong here.",
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_parameter_that_the_service_does_not_know(computer: Computer, service: Service) -> None:
    refusal = json.dumps({"statusCode": 400, "message": ["property limit should not exist"]}).encode()
    service.answers = lambda path: (400, {}, refusal) if path.endswith("/scheduled") else None
    assert told(await computer.examine(**service.account)) == snapshot(
        [
            "failed   scheduled  does not know limit",
            "                    → Put into the file that SALESOS_CONTRACT names, with the service's own word",
            '                      in the place of "...":',
            '                        routes.list_scheduled.rename.limit = "..."',
            "",
            "1 thing to mend.",
        ]
    )


async def test_a_service_that_does_not_tell_who_the_user_is(computer: Computer, service: Service) -> None:
    service.answers = lambda path: (404, {}, b'{"statusCode": 404}') if path.endswith("/auth/me") else None
    assert told(await computer.examine(**service.account)) == snapshot(["", "All is well."])


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}, b"planted"),
        (200, {"content-type": "text/html"}, b"<p>planted"),
        (200, {}, b'[{"id": "plan'),
        (200, {}, b"5"),
    ],
    ids=["fails", "page", "cut", "number"],
)
async def test_one_endpoint_that_is_broken(
    computer: Computer, service: Service, answer: tuple[int, dict[str, str], bytes], request: pytest.FixtureRequest
) -> None:
    service.answers = lambda path: answer if path.endswith("/search") else None
    lines = told(await computer.examine(**service.account))
    assert (
        lines
        == {
            "fails": snapshot(
                [
                    "failed   search  fails (status 500)",
                    "                 → Try again in a few minutes, then tell who runs the service.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "page": snapshot(
                [
                    "failed   search  answers no JSON",
                    "                 → Report it to those who run the service.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "cut": snapshot(
                [
                    "failed   search  answers no JSON",
                    "                 → Report it to those who run the service.",
                    "",
                    "1 thing to mend.",
                ]
            ),
            "number": snapshot(
                [
                    "failed   search  no list can be found in the answer",
                    "                 → Report it, with what `doctor --report` writes, as the contract of this server",
                    "                   is wrong here.",
                    "",
                    "1 thing to mend.",
                ]
            ),
        }[request.node.callspec.id]
    )


# The rate limit


async def test_too_many_requests_end_the_examination_of_the_service(computer: Computer) -> None:
    async with serving(limits=Limits(per_minute=3)) as service:
        findings = await computer.examine(**service.account)
        assert len(service.requests) <= 7
    assert {finding.check for finding in findings if "takes no more requests" in finding.found} >= {"rate limit"}
    assert next(finding for finding in findings if finding.check == "rate limit").remedy == snapshot(
        "Run doctor again in 60 seconds."
    )


async def test_an_account_without_a_request_left_is_not_asked_again(computer: Computer) -> None:
    async with serving(limits=Limits(per_minute=1)) as service:
        account = service.account
        await computer.examine(**account)
        service.requests.clear()
        findings = await computer.examine()
        assert len(service.requests) == 1
    assert told(findings) == snapshot(
        [
            "warning  sign-in     the service takes no more requests for now",
            "                     → Run doctor again in 60 seconds.",
            "warning  rate limit  the service takes no more requests for now",
            "                     → Run doctor again in 60 seconds.",
            "",
            "2 things to look at.",
        ]
    )
    assert skipped(findings)["threads"] == snapshot("the service takes no more requests for now")


async def test_an_account_that_something_else_keeps_busy(computer: Computer) -> None:
    async with serving(limits=Limits(per_minute=12)) as service:
        findings = await computer.examine(**service.account)
    assert told(findings) == snapshot(
        [
            "warning  rate limit  3 of 12 requests are left",
            "                     → Find out what else uses this account, or run doctor again in a minute.",
            "",
            "1 thing to look at.",
        ]
    )


async def test_a_lower_limit_than_ours(computer: Computer) -> None:
    async with serving(limits=Limits(per_minute=60)) as service:
        findings = await computer.examine(**service.account)
    assert told(findings) == snapshot(
        [
            "warning  rate limit  60 requests are allowed, and this server makes up to 95 a minute",
            "                     → Set SALESOS_REQUESTS_PER_MINUTE to 57.",
            "",
            "1 thing to look at.",
        ]
    )


async def test_a_service_that_tells_no_limit(computer: Computer, service: Service) -> None:
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    service.no_headers = frozenset(name.encode() for name in names)
    findings = await computer.examine(**service.account)
    assert next(finding for finding in findings if finding.check == "rate limit").found == snapshot(
        "the service does not tell its own; this server makes at most 95 requests a minute"
    )

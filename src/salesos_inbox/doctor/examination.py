"""The examination: every check there is, what each needs, and all of them at once within half a minute."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import anyio
import anyio.to_thread

from salesos_inbox.client.credentials import with_credentials
from salesos_inbox.doctor import machine, network, service
from salesos_inbox.doctor.case import Case, Trouble
from salesos_inbox.doctor.clients import check_clients, is_set_by_every_client
from salesos_inbox.doctor.configured import check_settings, check_token, usable_settings
from salesos_inbox.doctor.finding import Finding, Status, as_remedy, failed, for_a_person, skipped, warning
from salesos_inbox.doctor.handshake import check_handshake
from salesos_inbox.doctor.surroundings import Surroundings
from salesos_inbox.errors import InboxError

SECONDS: Final = 28.0
"""The whole examination, whatever does not answer."""
_BREAKING: Final = frozenset({Status.FAILED, Status.SKIPPED})
_ADDRESS: Final = "SALESOS_BASE_URL"
_TIMEZONE: Final = "SALESOS_TIMEZONE"
_CONTRACT: Final = "SALESOS_CONTRACT"


@dataclass(frozen=True)
class Check:
    """One check: the name of its line, what does it, and the checks that must not have failed before."""

    name: str
    run: Callable[[Case], Awaitable[Iterable[Finding]]]
    needs: tuple[str, ...] = ()


def _here(check: Callable[[Case], Iterable[Finding]]) -> Callable[[Case], Awaitable[Iterable[Finding]]]:
    """Return a check of this computer, which may read files, as one that keeps nobody waiting."""

    async def run(case: Case) -> list[Finding]:
        return await anyio.to_thread.run_sync(lambda: list(check(case)), abandon_on_cancel=True)

    return run


def _told(check: Callable[[Case], Iterable[Finding]]) -> Callable[[Case], Awaitable[Iterable[Finding]]]:
    """Return a check of what was already answered."""

    async def run(case: Case) -> Iterable[Finding]:
        return check(case)

    return run


async def _greeting(case: Case) -> list[Finding]:
    return await check_handshake(case.surroundings)


async def _sign_in(case: Case) -> list[Finding]:
    """Judge the answer to the first request; where it was a good one, the other endpoints are asked."""
    findings = await service.check_sign_in(case)
    if all(finding.status is Status.OK for finding in findings) and _CONTRACT not in case.problems:
        await service.ask_all(case)
    return findings


_HERE: Final = (
    Check("versions", _here(lambda case: machine.check_python(case.surroundings))),
    Check("settings", _here(lambda case: check_settings(case.surroundings.environment, case.problems))),
    Check("token", _here(lambda case: _judge_token(case))),
    Check("time zone", _here(lambda case: _judge_timezone(case)), (_TIMEZONE,)),
    Check("state directory", _here(lambda case: machine.check_state_dir(case.surroundings, case.state_dir))),
    Check("ledger", _here(lambda case: machine.check_ledger(case.surroundings, case.state_dir))),
    Check("asking a person", _here(lambda case: machine.check_asking(case.surroundings, case.settings))),
    Check("clients", _here(lambda case: check_clients(case.surroundings, case.settings))),
)
_SERVER: Final = (Check("standard output", _greeting),)
_ANSWERED: Final = ("base address", "sign-in")
_SHAPED: Final = (*_ANSWERED, _CONTRACT)
_SERVICE: Final = (
    Check("proxy", network.check_way, (_ADDRESS,)),
    Check("name resolution", network.check_name, ("proxy",)),
    Check("connection", network.check_connection, ("name resolution",)),
    Check("encryption", network.check_tls, ("connection",)),
    Check("base address", network.check_base_address, ("encryption",)),
    Check("clock", _told(network.check_clock), ("encryption",)),
    Check("sign-in", _sign_in, ("base address",)),
    *(Check(one.name, _told(partial(service.check_endpoint, one)), _SHAPED) for one in service.ENDPOINTS),
    Check("spelling", _told(service.check_spelling), _SHAPED),
    Check("rate limit", _told(service.check_rate_limit), ("base address",)),
    Check("scopes", _told(service.check_scopes), _ANSWERED),
)


def _judge_timezone(case: Case) -> Iterable[Finding]:
    is_in_entries = is_set_by_every_client(_TIMEZONE, case.surroundings)
    return machine.check_timezone(case.surroundings, case.settings, is_in_entries=is_in_entries)


def _judge_token(case: Case) -> Iterable[Finding]:
    if case.no_credential:
        return [failed("token", case.no_credential.found, case.no_credential.remedy)]
    now = case.surroundings.clock()
    return check_token(case.surroundings.environment, case.settings, case.source, case.remedy, now)


async def examine(surroundings: Surroundings, seconds: float = SECONDS) -> list[Finding]:
    """Return what every check found, in a fixed order, within `seconds`."""
    results: dict[str, list[Finding]] = {}
    with anyio.move_on_after(seconds):
        case = await anyio.to_thread.run_sync(_open, surroundings, abandon_on_cancel=True)
        try:
            async with anyio.create_task_group() as tasks:
                for strand in (_HERE, _SERVER, _SERVICE):
                    tasks.start_soon(_run, strand, case, results)
        finally:
            if case.http is not None:
                with anyio.CancelScope(shield=True):
                    await case.http.aclose()
    names = [check.name for check in (*_HERE, *_SERVICE, *_SERVER)]
    late = [
        warning("time", f"not everything was tried within {seconds:g} seconds", f"Find out what keeps {name} waiting.")
        for name in [name for name in names if name not in results][:1]
    ]
    found = [finding for name in names for finding in results.get(name, [skipped(name, "no time was left")])]
    return [*_with_each_line_once(found), *late]


def _with_each_line_once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings with no line twice that the operator copies: the file takes each once."""
    told: dict[str, str] = {}
    for finding in findings:
        remedy, *lines = finding.remedy.split("\n")
        new = [line for line in lines if line not in told]
        told |= dict.fromkeys(new, finding.check)
        if lines and not new:
            remedy = f"What is to be put into the file for {told[lines[0]]} mends this too."
        yield replace(finding, remedy="\n".join([remedy, *new]))


def _open(surroundings: Surroundings) -> Case:
    """Return the case as it stands before the first check: the settings, and where the token comes from."""
    settings, problems = usable_settings(surroundings.environment, surroundings.platform)
    case = Case(surroundings, settings, problems, None)
    try:
        case.settings, store = with_credentials(settings, case.state_dir)
        if store:
            case.source = store.name.replace(str(surroundings.home), "~")
            case.remedy = as_remedy(store.remedy)
        if store and not case.settings.has_credentials:
            store.read()  # which says why there is none
    except InboxError as error:
        case.no_credential = Trouble(*for_a_person(str(error)))
    token = [] if case.no_credential else list(_judge_token(case))
    case.token_is_good = bool(token) and all(finding.status not in _BREAKING for finding in token)
    return case


async def _run(strand: Sequence[Check], case: Case, results: dict[str, list[Finding]]) -> None:
    """Make one check after the other; one is skipped where another that it needs was, or has failed."""
    broken = set(case.problems)
    for check in strand:
        need = next((name for name in check.needs if name in broken), None)
        if need:
            findings = [skipped(check.name, f"as {need} is not ok")]
        else:
            try:
                findings = list(await check.run(case))
            except OSError as error:
                why = error.strerror or type(error).__name__
                findings = [failed(check.name, f"cannot be looked into ({why})", "Let this user read what is there.")]
        results[check.name] = findings
        if any(finding.status in _BREAKING for finding in findings):
            broken.add(check.name)

"""Credits as administrators book them: adjustments, and transfers between accounts and twins (reference: admin 3.5, 4).

Making and taking credits is the super administrators'. Moving them inside an account is for who manages it; the
administrators of a twin may pull from its account where that lets them. Every booking is noted in the audit log.
"""

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from twinspeak.domain.access import Verb
from twinspeak.domain.administration import BY_ADMINS, NEVER, AccountRow, Transfer, TwinRow
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.errors import CallerError, Conflict, InsufficientCredits, InvalidId, NotFound, SuperRequired
from twinspeak.domain.ids import parse_id
from twinspeak.domain.turn import TurnState
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import administration, memberships, running, transfers, wallets
from twinspeak.persistence.repos.transfers import Booking, TransferFilter
from twinspeak.services import audit, policy
from twinspeak.services.administered import Page
from twinspeak.services.audit import Target

PULLED = transfers.TOP_UP


class TransfersDisabled(CallerError):
    """The account lets none of its twins' administrators move credits."""

    code = "transfers_disabled"
    status = 403
    type = "permission_error"
    default = "The account of this digital twin does not let its administrators transfer credits."


class Order(msgspec.Struct, frozen=True):
    """What to book: signed credits, why, and the request's `Idempotency-Key` ("" for none)."""

    credits: int
    note: str = ""
    key: str = ""


class Booked(msgspec.Struct, frozen=True):
    """What was booked, and how the two sides stand now."""

    transfer: Transfer
    institution: TwinRow | None
    account: AccountRow | None


class Credits:
    """Booking credits. One for the whole server."""

    def __init__(self, db: Database) -> None:
        """Keep the database."""
        self._db = db

    async def adjust_twin(self, by: Actor, institution_id: str, order: Order, *, alone: bool) -> Booked:
        """Give a twin credits out of its account, or back into it; `alone` leaves the account aside.

        A twin without an account gets them from the system, as with `alone`. Raises SuperRequired, InvalidId,
        NotFound, InsufficientCredits, and Conflict for a key that booked something else.
        """
        if not policy.is_super(by.caller):
            raise SuperRequired

        def store(tx: Tx) -> Booked:
            twin = policy.require(tx, by.caller, Verb.INSTITUTIONS_EDIT, institution_id, param="id")
            account = None if alone else _account_of(tx, twin)
            booking = _booking(by, order)

            def book() -> Transfer:
                if account is None:
                    return transfers.adjust(tx, order.credits, booking, institution_id=twin)
                return transfers.between(tx, account, twin, order.credits, booking)

            return _once(tx, by, "credits.adjusted", booking, book, _Same(order.credits, twin, account))

        return await self._db.write(store)

    async def adjust_account(self, by: Actor, account_id: str, order: Order) -> Booked:
        """Give an account credits, or take them back. Raises as `adjust_twin` does."""
        if not policy.is_super(by.caller):
            raise SuperRequired

        def store(tx: Tx) -> Booked:
            account = policy.require_account(tx, by.caller, account_id, param="id")
            booking = _booking(by, order)

            def book() -> Transfer:
                return transfers.adjust(tx, order.credits, booking, account_id=account)

            return _once(tx, by, "credits.adjusted", booking, book, _Same(order.credits, None, account))

        return await self._db.write(store)

    async def transfer(self, by: Actor, account_id: str, institution_id: str, order: Order) -> Booked:
        """Move credits from an account to one of its twins, or back with a negative number.

        Raises as `policy.require_account` does, InvalidId, NotFound (no twin of the account), InsufficientCredits,
        Conflict.
        """

        def store(tx: Tx) -> Booked:
            account = policy.require_account(tx, by.caller, account_id, param="id")
            twin = parse_id(institution_id)
            if twin is None:
                raise InvalidId(param="institutionId")
            row = administration.twin(tx, twin)
            if row is None or row.fields["account_id"] != account:
                raise NotFound(param="institutionId")
            booking = _booking(by, order)

            def book() -> Transfer:
                return transfers.between(tx, account, twin, order.credits, booking)

            return _once(tx, by, "credits.transferred", booking, book, _Same(order.credits, twin, account))

        return await self._db.write(store)

    async def pull(self, by: Actor, membership_id: str, order: Order) -> Booked:
        """Move credits from the account to the caller's active twin, named by the caller's membership there.

        `order.credits` 0 asks for as many as usual, or as there are. Raises InvalidId, NotFound (no membership of the
        caller's in the active twin, or a twin without an account), EntitlementMissing, TransfersDisabled,
        InsufficientCredits, Conflict.
        """
        policy.as_oneself(by.caller)

        def store(tx: Tx) -> Booked:
            twin = _active_twin(tx, by.caller, membership_id)
            account = _account_of(tx, twin)
            if account is None:
                raise NotFound("This digital twin belongs to no account.", param="id")
            _may_pull(tx, by.caller, account)
            amount = order.credits or max(1, min(PULLED, wallets.available(tx, "account", account)))
            booking = _booking(by, order)

            def book() -> Transfer:
                return transfers.between(tx, account, twin, amount, booking)

            return _once(tx, by, "credits.transferred", booking, book, _Same(order.credits, twin, account))

        return await self._db.write(store)

    async def refund(self, by: Actor, history_id: str, note: str) -> int:
        """Give back what a question was charged; return how much.

        Raises SuperRequired, InvalidId, NotFound, and Conflict for one that runs, or has nothing to give back.
        """
        if not policy.is_super(by.caller):
            raise SuperRequired
        turn_id = parse_id(history_id)
        if turn_id is None:
            raise InvalidId(param="id")

        def store(tx: Tx) -> int:
            found = running.find(tx, turn_id)
            if found is None:
                raise NotFound(param="id")
            if found.state is TurnState.RUNNING:
                raise Conflict("The question is still being answered.")
            amount = wallets.refund(tx, turn_id, note=note)
            if not amount:
                raise Conflict("This question was charged nothing, or has been given back already.")
            running.refunded(tx, turn_id, found, amount)
            target = Target("history", turn_id, found.scope.institution_id)
            audit.note(tx, by, "credits.refunded", target, after={"credits": amount, "note": note})
            return amount

        return await self._db.write(store)

    async def transfers(
        self, caller: Caller, *, institution: str, account: str, page: Page
    ) -> tuple[Sequence[Transfer], int]:
        """Return a page of transfers, newest first, of the accounts that the caller manages and of their twins.

        `institution` and `account` are ids parted by blanks; unknown and foreign ones add nothing. Raises InvalidId.
        """

        def read(tx: Tx) -> tuple[Sequence[Transfer], int]:
            wanted = TransferFilter(
                managed=None if policy.is_super(caller) else policy.managed_accounts(tx, caller),
                accounts=policy.ids_in(account, param="account") if account.strip() else None,
                institutions=policy.ids_in(institution, param="institution") if institution.strip() else None,
            )
            return transfers.listing(tx, wanted, skip=page.skip, most=page.size)

        return await self._db.read(read)


class _Same(msgspec.Struct, frozen=True):
    """What a request that comes again must ask for; `credits` 0 asks for no certain number."""

    credits: int
    institution_id: str | None
    account_id: str | None


def _once(tx: Tx, by: Actor, action: str, booking: Booking, book: Callable[[], Transfer], same: _Same) -> Booked:
    """Book, unless the key has booked the same already, and note it. Raises Conflict."""
    earlier = None if booking.once is None else transfers.booked(tx, booking.once)
    if earlier is not None:
        if not _is_same(earlier, same):
            raise Conflict("This Idempotency-Key was used for another booking.", param="Idempotency-Key")
        return _booked(tx, earlier)
    transfer = book()
    done = _booked(tx, transfer)
    after = {"credits": transfer.credits, "note": transfer.note, "transfer": transfer.id}
    if transfer.account_id is not None:
        after["account"] = transfer.account_id
    twin = transfer.institution_id
    target = Target("account", transfer.account_id or "") if twin is None else Target("institution", twin, twin)
    audit.note(tx, by, action, target, after=after)
    return done


def _is_same(earlier: Transfer, same: _Same) -> bool:
    parties = (earlier.institution_id, earlier.account_id) == (same.institution_id, same.account_id)
    return parties and same.credits in (0, earlier.credits)


def _booked(tx: Tx, transfer: Transfer) -> Booked:
    twin = None if transfer.institution_id is None else administration.twin(tx, transfer.institution_id)
    account = transfer.account_id
    return Booked(
        transfer=transfer,
        institution=twin,
        account=None if account is None else administration.accounts_by_id(tx, [account]).get(account),
    )


def _booking(by: Actor, order: Order) -> Booking:
    caller = by.caller
    once = hashlib.sha256(f"{caller.user_id} {order.key}".encode()).hexdigest() if order.key else None
    return Booking(user_id=caller.user_id, mode=BY_ADMINS, note=order.note, once=once)


def _account_of(tx: Tx, institution_id: str) -> str | None:
    row = administration.twin(tx, institution_id)
    return None if row is None or row.account is None else row.account.id


def _active_twin(tx: Tx, caller: Caller, membership_id: str) -> str:
    wanted = parse_id(membership_id)
    if wanted is None:
        raise InvalidId(param="id")
    if caller.institution_id is None:
        raise NotFound(param="id")
    twin = policy.require(tx, caller, Verb.INSTITUTIONS_EDIT, caller.institution_id)
    own = memberships.get(tx, caller.user_id, twin)
    if own is None or own.id != wanted:
        raise NotFound(param="id")
    return twin


def _may_pull(tx: Tx, caller: Caller, account_id: str) -> None:
    """Let pass who manages the account, and anybody else where it lets them; and only what there is to pull."""
    managed = policy.is_super(caller) or account_id in policy.managed_accounts(tx, caller)
    row = administration.accounts_by_id(tx, [account_id])[account_id]
    if row.status != "active" or (row.transfer_mode == NEVER and not managed):
        raise TransfersDisabled
    if row.credits <= 0:
        raise InsufficientCredits("The account has no credits left.", details={"payer": "account", "available": 0})

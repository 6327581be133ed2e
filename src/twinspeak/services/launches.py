"""Signing in by a launch from another site (reference 1.8; decision 051).

A page can say anything, so a launch that the browser had signed proves nothing: it opens a twin that lets everybody in
anyway, as an ordinary user who is nobody else, and again only from the same browser. A launch that the site's own
server signed with the twin's secret is believed about that twin's people, as a sign-in provider is, and may make
administrators.
"""

import hashlib
import secrets
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog

from twinspeak.domain.access import Verb
from twinspeak.domain.caller import Actor, Caller
from twinspeak.domain.clock import now_ms
from twinspeak.domain.errors import CallerError, Conflict, OriginNotAllowed, ValidationFailed
from twinspeak.domain.ids import new_id, parse_uuid
from twinspeak.domain.launch import ADMIN_TYPE, AHEAD_S, WINDOW_S, Launch, is_signed, signature, subject_hash, texts
from twinspeak.domain.origins import origin_of
from twinspeak.domain.people import STARTING_CREDITS, Membership, User
from twinspeak.persistence.db import Database, Tx
from twinspeak.persistence.repos import institutions, memberships, people, users
from twinspeak.persistence.repos import launches as rows
from twinspeak.persistence.repos.institutions import JoiningRules
from twinspeak.persistence.secrets import SecretUnreadable
from twinspeak.services import audit, policy
from twinspeak.services.audit import Target
from twinspeak.services.auth import Auth, Device, SignedIn
from twinspeak.services.joining import JoiningRefused, award
from twinspeak.services.members import enrol
from twinspeak.services.passwords import check_email, field
from twinspeak.services.ports import Vault
from twinspeak.services.sso import SsoAccountExists
from twinspeak.services.vouching import harmless, may_take_over

_log = structlog.get_logger(__name__)


class LaunchInvalid(CallerError):
    """Not signed, signed otherwise, used, or for no twin: never told which."""

    code = "launch_invalid"
    status = 401
    type = "authentication_error"
    default = "Invalid launch token"


class LaunchExpired(CallerError):
    """It was signed too long ago."""

    code = "launch_expired"
    status = 401
    type = "authentication_error"
    default = "Launch token expired"


class Signed(msgspec.Struct, frozen=True):
    """What the server signed; `timestamp` is epoch seconds."""

    launch_token: str
    nonce: str
    timestamp: int


class Shown(msgspec.Struct, frozen=True):
    """A launch as a client shows it."""

    params: dict[str, Any]
    launch_token: str
    nonce: str
    timestamp: int


class Wanted(msgspec.Struct, frozen=True):
    """Who wants in by a launch: the twin by public id or by a place of its, and what the page says of the person.

    `nonce` names the launch; without it, the newest one that was verified from the same address for the same person.
    """

    public_id: str = ""
    context: str = ""
    email: str = ""
    external_id: str = ""
    nonce: str = ""
    profile: dict[str, Any] = {}


class Launched(msgspec.Struct, frozen=True):
    """A session, and what the browser is to keep to be the same person again; "" for nothing."""

    signed: SignedIn
    browser: str = ""


class Launches:
    """Launches. One for the whole server."""

    def __init__(self, db: Database, auth: Auth, vault: Vault, *, secret: str) -> None:
        """`secret` is the server's own."""
        self._db = db
        self._auth = auth
        self._vault = vault
        self._secret = hashlib.sha256(b"twinspeak launches 1" + secret.encode()).hexdigest()

    async def sign(self, public_id: str, params: dict[str, Any], *, page: str, ip: str) -> Signed:
        """Sign what a page says, for a twin that lists the page's host (`page` is its Origin or Referer).

        Raises OriginNotAllowed (also for a twin that is not there) and ValidationFailed (another twin in `params`).
        """
        given = texts(params)
        if given.get("institutionid", public_id) != public_id:
            raise ValidationFailed(param="params", details=field("params.institutionid", "is another digital twin's"))
        nonce, now_s = secrets.token_hex(16), now_ms() // 1000

        def store(tx: Tx) -> None:
            twin = institutions.by_public_id(tx, parse_uuid(public_id) or "")
            if twin is None or not _lists(twin.public_authorized_urls, page):
                raise OriginNotAllowed
            launch = Launch(
                nonce=nonce,
                institution_id=twin.id,
                proof="browser",
                params=given,
                ip=ip[:100],
                expires=(now_s + WINDOW_S) * 1000,
            )
            rows.keep(tx, launch)

        await self._db.write(store)
        return Signed(launch_token=signature(self._secret, given, nonce, now_s), nonce=nonce, timestamp=now_s)

    async def verify(self, shown: Shown, *, ip: str) -> None:
        """Note that a launch is signed, by us or by a twin's secret. Raises LaunchInvalid, LaunchExpired."""
        await self._db.write(lambda tx: self._verify(tx, shown, ip))

    async def sign_in(self, wanted: Wanted, device: Device, *, browser: str) -> Launched:
        """Open a session by a verified launch, which is used up; `browser` is what the browser kept.

        Raises LaunchInvalid, JoiningRefused (a page's launch into a twin that does not let everybody in),
        SsoAccountExists, AccountSuspended.
        """
        launched, less, twin = await self._db.write(lambda tx: self._admit(tx, wanted, device, browser))
        if less:
            self._auth.revocations.left([launched.signed.profile.user.id], twin)
        return launched

    async def subject_of(self, nonce: str) -> Launch | None:
        """Return a launch that was verified, for what it lets one ask; None for any other."""
        launch = await self._db.read(lambda tx: rows.get(tx, nonce))
        return launch if launch is not None and launch.verified is not None else None

    async def new_secret(self, by: Actor, institution_id: str) -> str:
        """Give a twin a secret for its site's server, in place of any other; it is shown once.

        Raises as `policy.require` does.
        """
        made = secrets.token_urlsafe(48)

        def store(tx: Tx) -> None:
            twin = policy.require(tx, by.caller, Verb.INSTITUTIONS_EDIT, institution_id, param="id")
            rows.set_secret(tx, twin, self._vault.encrypt(made, context=_context(twin)))
            audit.note(tx, by, "institution.launch_secret_made", Target("institution", twin, twin))

        await self._db.write(store)
        return made

    async def drop_secret(self, by: Actor, institution_id: str) -> None:
        """Take a twin's secret away: launches signed with it are worth nothing. Raises as `policy.require` does."""

        def store(tx: Tx) -> None:
            twin = policy.require(tx, by.caller, Verb.INSTITUTIONS_EDIT, institution_id, param="id")
            if rows.forget_secret(tx, twin):
                audit.note(tx, by, "institution.launch_secret_dropped", Target("institution", twin, twin))

        await self._db.write(store)

    def _verify(self, tx: Tx, shown: Shown, ip: str) -> None:
        given, now_s = texts(shown.params), now_ms() // 1000
        kept = rows.get(tx, shown.nonce)
        ours = is_signed(self._secret, given, shown.nonce, shown.timestamp, shown.launch_token)
        twin = None if ours else self._vouching(tx, given, shown)
        if not (ours or twin):
            raise LaunchInvalid
        if not now_s - WINDOW_S < shown.timestamp <= now_s + AHEAD_S:
            raise LaunchExpired
        if kept is None:
            if ours or twin is None or rows.exists(tx, shown.nonce):
                raise LaunchInvalid  # it has been used
            expires = (shown.timestamp + WINDOW_S) * 1000
            kept = Launch(
                nonce=shown.nonce, institution_id=twin, proof="server", params=given, ip=ip[:100], expires=expires
            )
            try:
                rows.keep(tx, kept)
            except Conflict:
                raise LaunchInvalid from None
        rows.verify(tx, kept.nonce, ip[:100])

    def _vouching(self, tx: Tx, given: dict[str, str], shown: Shown) -> str | None:
        """Return the twin whose secret signed a launch."""
        twin = institutions.by_public_id(tx, parse_uuid(given.get("institutionid", "")) or "")
        sealed = rows.secret(tx, twin.id) if twin else ""
        if twin is None or not sealed:
            return None
        try:
            secret = self._vault.decrypt(sealed, context=_context(twin.id))
        except SecretUnreadable:
            _log.warning("launch secret unreadable", institution_id=twin.id)
            return None
        return twin.id if is_signed(secret, given, shown.nonce, shown.timestamp, shown.launch_token) else None

    def _admit(self, tx: Tx, wanted: Wanted, device: Device, browser: str) -> tuple[Launched, bool, str]:
        launch = _chosen(tx, wanted, device.ip)
        rules = institutions.joining_rules(tx, launch.institution_id) if launch is not None else None
        if launch is None or rules is None or not (launch.email or launch.external_id):
            raise LaunchInvalid
        if not rows.use(tx, launch.nonce):
            raise LaunchInvalid
        if launch.proof == "browser":
            kept = browser or secrets.token_urlsafe(32)
            user, less = _guest(tx, launch, rules, wanted, _Coming(device, kept)), False
        else:
            kept = ""
            user, less = _vouched(tx, launch, rules, wanted, device)
        told = {name: value for name, value in wanted.profile.items() if name.startswith("lxp_")}
        values: dict[str, Any] = {"last_login": now_ms(), "preferences": {**user.preferences, **told}}
        member = memberships.get(tx, user.id, rules.id)
        if member is not None and member.status == "active":
            values["active_institution_id"] = rules.id
        users.edit(tx, user.id, values)
        audit.note(tx, _actor(user, device), f"launch.signed_in_by_{launch.proof}", _target(launch))
        return Launched(signed=self._auth.open(tx, user.id, device), browser=kept), less, rules.id


class _Coming(msgspec.Struct, frozen=True):
    """Where somebody comes from: the device, and the secret that the browser keeps."""

    device: Device
    browser: str


def rotate_secrets(tx: Tx, vault: Vault) -> int:
    """Encrypt every launch secret anew under the first key; return how many changed."""
    done = 0
    for twin, sealed in rows.secrets_of_all(tx):
        try:
            token = vault.rotate(sealed, context=_context(twin))
        except SecretUnreadable:  # its key may be given again
            continue
        if token != sealed:
            done += rows.replace_secret(tx, twin, token, replacing=sealed)
    return done


def _chosen(tx: Tx, wanted: Wanted, ip: str) -> Launch | None:
    """Return the verified launch that somebody means."""
    twin = rows.twin_at(tx, url="" if wanted.public_id else wanted.context, public_id=_uuid(wanted.public_id))
    if twin is None:
        return None
    if wanted.nonce:
        named = rows.get(tx, wanted.nonce)
        return named if named is not None and named.verified is not None and named.institution_id == twin.id else None
    return next((one for one in rows.verified(tx, twin.id, ip[:100]) if _is_for(one, wanted)), None)


def _is_for(launch: Launch, wanted: Wanted) -> bool:
    """Tell whether a launch is for the person whom a page names."""
    same_id = not wanted.external_id or wanted.external_id.strip() == launch.external_id
    same_email = not wanted.email or wanted.email.strip().lower() == launch.email
    return same_id and same_email and bool(wanted.external_id or wanted.email)


def _guest(tx: Tx, launch: Launch, rules: JoiningRules, wanted: Wanted, coming: _Coming) -> User:
    """Return who a page's launch stands for: somebody of its own, known again by the browser alone."""
    if rules.allow_joining != "public":
        raise JoiningRefused("This digital twin takes launches that the site's own server signed.")
    subject = subject_hash("browser", launch.subject, coming.browser)
    found = rows.known(tx, rules.id, subject)
    user = users.by_id(tx, found) if found else None
    if user is None:
        # An address that nobody has proved is nobody's: the account has one that no mail can be sent to.
        user = users.create(tx, _new_user("", wanted))
        rows.link(tx, rules.id, subject, "browser", user.id)
        audit.note(tx, _actor(user, coming.device), "user.launched", Target("user", user.id, rules.id))
    if memberships.get(tx, user.id, rules.id) is None:
        _enrol(tx, user, rules, coming.device, pending=rules.joining_admin_only)
    member = memberships.get(tx, user.id, rules.id)
    if user.account_type != "user" or (member is not None and member.account_type != "user"):
        raise LaunchInvalid  # whoever administers signs in by something that proves it
    return user


def _vouched(tx: Tx, launch: Launch, rules: JoiningRules, wanted: Wanted, device: Device) -> tuple[User, bool]:
    """Return who the site's server vouches for, with the role that it gives, and whether that is less than before."""
    subject = subject_hash("server", launch.subject)
    found = rows.known(tx, launch.institution_id, subject)
    user = users.by_id(tx, found) if found else None
    if user is not None and not harmless(tx, user, launch.institution_id):
        raise SsoAccountExists
    if user is None:
        user = _newcomer(tx, launch, wanted, device)
        rows.link(tx, launch.institution_id, subject, "server", user.id)
    if memberships.get(tx, user.id, launch.institution_id) is None:
        _enrol(tx, user, rules, device, pending=False)
    return user, _map_role(tx, launch, user, device)


def _newcomer(tx: Tx, launch: Launch, wanted: Wanted, device: Device) -> User:
    if not launch.email:
        return users.create(tx, _new_user("", wanted), credits=STARTING_CREDITS)
    email = check_email(launch.email)
    user = users.by_email(tx, email)
    if user is not None:
        if not may_take_over(tx, user, launch.institution_id):
            raise SsoAccountExists
        return user
    user = users.create(tx, _new_user(email, wanted), credits=STARTING_CREDITS)
    audit.note(tx, _actor(user, device), "user.launched", Target("user", user.id, launch.institution_id))
    return user


def _map_role(tx: Tx, launch: Launch, user: User, device: Device) -> bool:
    """Make somebody what the site's server says; verbs stay what the twin's administrators give."""
    if "usertype" not in launch.params:
        return False
    member = memberships.get(tx, user.id, launch.institution_id)
    kind = "admin" if launch.params["usertype"] == ADMIN_TYPE else "user"
    if member is None or member.account_type == kind:
        return False
    values: dict[str, Any] = {"account_type": kind}
    if kind == "user":
        values["entitlements"] = ()
    people.change(tx, member.id, values)
    before = {"account_type": member.account_type, "entitlements": member.entitlements}
    target = Target("membership", member.id, member.institution_id)
    audit.note(tx, _actor(user, device), "membership.mapped", target, before=before, after={**before, **values})
    if kind == "admin" and user.account_type == "user":
        users.edit(tx, user.id, {"account_type": "admin"})
    return kind == "user"


def _enrol(tx: Tx, user: User, rules: JoiningRules, device: Device, *, pending: bool) -> None:
    now = now_ms()
    new = Membership(
        id=new_id(),
        user_id=user.id,
        institution_id=rules.id,
        created=now,
        joined=None if pending else now,
        status="pending" if pending else "active",
    )
    made = enrol(tx, _actor(user, device), new)
    if not pending:
        award(tx, made, rules)


def _new_user(email: str, wanted: Wanted) -> users.NewUser:
    """Return somebody new, with the names that the page gives; "" for an address that no mail can be sent to."""
    fname, lname = (str(wanted.profile.get(name) or "")[:100] for name in ("fname", "lname"))
    return users.NewUser(email=email or f"{new_id()}@launched.invalid", fname=fname, lname=lname)


def _lists(authorized: tuple[str, ...], page: str) -> bool:
    """Tell whether a page's host is exactly one that a twin lists; "*" is no host (reference 1.8)."""
    origin = origin_of(page) if "://" in page else None
    host = urlsplit(origin).hostname if origin else None
    listed = (origin_of(entry) for entry in authorized)
    return host is not None and any(urlsplit(one).hostname == host for one in listed if one)


def _actor(user: User, device: Device) -> Actor:
    return Actor(Caller(user_id=user.id, email=user.email, kind="user", session_id=""), device.ip, device.user_agent)


def _target(launch: Launch) -> Target:
    return Target("institution", launch.institution_id, launch.institution_id)


def _context(institution_id: str) -> str:
    return f"launch:{institution_id}"


def _uuid(text: str) -> str:
    return parse_uuid(text) or ""

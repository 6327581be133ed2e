"""Every place of every mounted route that takes an id, and what it is an id of: data for `test_foreign_ids`."""

from typing import Any

from tests.faces import PATHS, Face
from twinspeak.transports import wire_names as wire

REST, SSE, CHAT = (f"POST {PATHS[name]}" for name in (Face.REST, Face.SSE, Face.OPENAI))
NOWHERE = "0" * 24
QUESTION = {"inputs": ["What is a digital twin?"], "requestArgs": {}}
BODIES: dict[str, dict[str, Any]] = {
    REST: QUESTION,
    SSE: QUESTION,
    CHAT: {"messages": [{"role": "user", "content": "What is a digital twin?"}]},
    "POST /api/ai/estimate": QUESTION,
    **{
        f"{route} body requestArgs.{name}": {
            **QUESTION,
            "requestArgs": {"selectedCourse": {"course_id": 1_699_999_999_998}},
        }
        for route in (REST, SSE, "POST /api/ai/estimate")
        for name in ("replacesId", "parentId")
    },
    "POST /api/user/histories": {},
    "POST /api/user/renameHistory": {"course_name": "Another name"},
    "POST /api/user/renameHistory body institution": {"course_id": 7, "course_name": "Another name"},
    "POST /api/user/clearHistory body institution": {"course_id": 7},
    "PUT /api/user/history/{id}": {"favorite": True},
    "POST /api/user/exportHistory body institution": {"course_id": 7},
    "POST /api/user/share body institution": {"course_id": 7},
    "POST /api/user/memory": {"name": "tree", "value": "An oak."},
    "PUT /api/user/memory/{id}": {"value": "An elm."},
    "POST /api/user/feedback": {"text": "Well said."},
    "POST /api/user/assistant": {"name": "Mine too"},
    "PUT /api/user/assistant/{id}": {"description": "Hm"},
    "POST /api/user/assistant/{id}/like": {},
    "POST /api/user/assistant/{id}/clone": {},
    "POST /api/admin/assistants": {},
    "POST /api/admin/aimodels": {},
    "POST /api/admin/aimodel": {"name": "Mine", "client_library": "mistral_cli", "api_key": "a-key"},
    "PUT /api/admin/aimodel/{id}": {"description": "Hm"},
    "PUT /api/user/institutionJoin": {"institution": NOWHERE, "referrer": NOWHERE},
    "POST /api/user/institutionSendInvite": {"email": "ada@example.org"},
    "PUT /api/user/userInstitution/{id}": {"favorite": True},
    "PUT /api/admin/institution/{institutionId}": {"about": "Mine"},
    "POST /api/admin/institution/{id}/clone": {"name": "Mine"},
    "PATCH /api/admin/institution/{id}/account": {"account": NOWHERE},
    "PUT /api/admin/account/{id}": {"domainUrls": []},
    "POST /api/admin/user": {"email": "ada@example.org"},
    "PUT /api/admin/user/{userId}": {"fname": "Ada"},
    "POST /api/admin/user/{userId}/actAs": {"reason": "Ticket 17"},
    "PUT /api/admin/users/bulk-status": {"status": "inactive"},
    "PUT /api/admin/userInstitution/{userId}": {"status": "inactive"},
    "POST /api/admin/userInstitutions/enroll": {"users": [NOWHERE], "accountType": "user"},
    "POST /api/admin/institution/{id}/credits": {"credits": 1, "note": "Gift"},
    "POST /api/admin/account/{id}/credits": {"credits": 1, "note": "Gift"},
    "PUT /api/admin/accountInstitution/{id}": {"credits": 1, "institutionId": NOWHERE},
    "PUT /api/user/me": {"password": "wrong horse battery", "newPassword": "battery horse staple"},
    "POST /api/admin/ssoProvider": {"slug": "mine", "clientId": "x", "issuer": "https://login.example.org"},
    "PUT /api/admin/ssoProvider/{id}": {"label": "Mine"},
}
"""By route, or by route and place where one place asks for more beside it."""
ASKED = {
    "body requestArgs.institutionPublicId": "public",
    "body requestArgs.assistantId": "assistant",
    "body requestArgs.selectedCourse.course_id": "course",
    "body requestArgs.selectedCourse.assistant._id": "assistant",
    "body requestArgs.socketId": "socket",
    "body requestArgs.replacesId": "branch",
    "body requestArgs.parentId": "branch",
}
PLACES: dict[str, dict[str, str]] = {
    REST: ASKED,
    SSE: ASKED,
    CHAT: {
        "body model": "public",
        **{f"header {name}": "public" for name in wire.INSTITUTION_HEADERS},
        **{f"header {name}": "course" for name in wire.CONVERSATION_HEADERS},
        **{f"header {name}": "assistant" for name in wire.ASSISTANT_HEADERS},
    },
    "POST /api/ai/estimate": ASKED,
    "GET /api/ai/turns/{turnId}/events": {"path turnId": "turn", f"header {wire.LAST_EVENT_ID}": "cursor"},
    "POST /api/ai/turns/{turnId}/cancel": {"path turnId": "turn"},
    "POST /api/user/histories": {"body institution": "twin", "body course_id": "course", "body historyId": "turn"},
    "POST /api/user/favorites": {"body institution": "twin"},
    "POST /api/user/courses": {"body institution": "twin"},
    "POST /api/user/renameHistory": {"body institution": "twin", "body course_id": "course", "body id": "turn"},
    "POST /api/user/clearHistory": {"body institution": "twin", "body course_id": "course", "body id": "turn"},
    "GET /api/user/history/{id}/thinking": {"path id": "turn"},
    "GET /api/user/history/{id}/sources": {"path id": "turn"},
    "PUT /api/user/history/{id}": {"path id": "turn"},
    "GET /api/admin/history/{id}/prompt": {"path id": "record"},
    "POST /api/user/exportHistory": {"body institution": "twin", "body course_id": "course"},
    "POST /api/user/share": {"body institution": "twin", "body course_id": "course", "body id": "turn"},
    "POST /api/user/memories": {"body institution": "twin"},
    "POST /api/user/memory": {"body institution": "twin"},
    "PUT /api/user/memory/{id}": {"path id": "memory"},
    "DELETE /api/user/memory/{id}": {"path id": "memory"},
    "POST /api/admin/memories": {"body institution": "twin"},
    "DELETE /api/admin/memory/{id}": {"path id": "memory"},
    "DELETE /api/user/share/{id}": {"path id": "share"},
    "GET /api/shared/{token}": {"path token": "share"},
    "POST /api/admin/moderations": {"body institution": "twin"},
    "POST /api/user/feedback": {"body historyId": "turn"},
    "POST /api/user/assistant": {"body institution": "twin"},
    "GET /api/user/assistant/{id}": {"path id": "assistant"},
    "PUT /api/user/assistant/{id}": {"path id": "assistant", "body institution": "twin"},
    "DELETE /api/user/assistant/{id}": {"path id": "assistant"},
    "POST /api/user/assistant/{id}/like": {"path id": "assistant"},
    "POST /api/user/assistant/{id}/clone": {"path id": "assistant"},
    "POST /api/admin/assistants": {"body institution": "twin"},
    "POST /api/admin/aimodels": {"body institution": "twin"},
    "POST /api/admin/aimodel": {"body institution": "twin"},
    "GET /api/admin/aimodel/{id}": {"path id": "model"},
    "PUT /api/admin/aimodel/{id}": {"path id": "model"},
    "DELETE /api/admin/aimodel/{id}": {"path id": "model"},
    "POST /api/admin/aimodel/{id}/test": {"path id": "model"},
    "PUT /api/user/me": {"body resetCodeId": "reset"},
    "DELETE /api/user/sessions/{sessionId}": {"path sessionId": "session"},
    "PUT /api/user/institutionJoin": {"body institution": "twin"},
    "POST /api/user/institutionSendInvite": {"body institutionId": "twin"},
    "POST /api/user/institutionCreateJoinId": {"body institutionId": "twin"},
    "POST /api/user/userInstitutionSwitch/{id}": {"path id": "membership"},
    "PUT /api/user/userInstitution/{id}": {"path id": "membership"},
    "DELETE /api/user/userInstitution/{id}": {"path id": "membership"},
    "POST /api/admin/institutions": {"body institution": "twin"},
    "GET /api/admin/institution/{institutionId}": {"path institutionId": "twin"},
    "PUT /api/admin/institution/{institutionId}": {"path institutionId": "twin"},
    "DELETE /api/admin/institution/{institutionId}": {"path institutionId": "twin"},
    "POST /api/admin/institution/{id}/clone": {"path id": "twin"},
    "PATCH /api/admin/institution/{id}/account": {"path id": "twin"},
    "POST /api/admin/accounts": {"body institution": "twin"},
    "GET /api/admin/account/{id}": {"path id": "account"},
    "PUT /api/admin/account/{id}": {"path id": "account"},
    "DELETE /api/admin/account/{id}": {"path id": "account"},
    "POST /api/admin/users": {"body institution": "twin"},
    "POST /api/admin/user": {"body institution": "twin"},
    "GET /api/admin/user/{userId}": {"path userId": "user"},
    "PUT /api/admin/user/{userId}": {"path userId": "user"},
    "DELETE /api/admin/user/{userId}": {"path userId": "user"},
    "POST /api/admin/user/{userId}/reset": {"path userId": "user"},
    "POST /api/admin/user/{userId}/actAs": {"path userId": "user"},
    "GET /api/admin/user/{userId}/sessions": {"path userId": "user"},
    "DELETE /api/admin/session/{sessionId}": {"path sessionId": "session"},
    "PUT /api/admin/users/bulk-status": {"body ids": "user"},
    "POST /api/admin/userInstitutions": {"body institution": "twin"},
    "GET /api/admin/userInstitutionsByUserId/{userId}": {"path userId": "user"},
    "PUT /api/admin/userInstitution/{userId}": {"path userId": "membership"},
    "DELETE /api/admin/userInstitution/{id}": {"path id": "membership"},
    "POST /api/admin/userInstitutions/eligible": {"body institution": "twin"},
    "POST /api/admin/userInstitutions/enroll": {"body institution": "twin"},
    "POST /api/admin/userInstitutions/bulk-delete": {"body ids": "membership"},
    "POST /api/admin/institution/{id}/credits": {"path id": "twin"},
    "POST /api/admin/account/{id}/credits": {"path id": "account"},
    "PUT /api/admin/accountInstitution/{id}": {"path id": "account", "body institutionId": "twin"},
    "POST /api/admin/accountTransfers": {"body institution": "twin"},
    "POST /api/user/userInstitutionCredit/{id}": {"path id": "membership"},
    "POST /api/user/api-key/{id}/rotate": {"path id": "key"},
    "DELETE /api/user/api-key/{id}": {"path id": "key"},
    "POST /api/admin/audit": {"body institution": "twin"},
    "POST /api/admin/audit/export": {"body institution": "twin"},
    "POST /api/admin/ssoProviders": {"body institution": "twin"},
    "POST /api/admin/ssoProvider": {"body institution": "twin"},
    "GET /api/admin/ssoProvider/{id}": {"path id": "provider"},
    "PUT /api/admin/ssoProvider/{id}": {"path id": "provider"},
    "DELETE /api/admin/ssoProvider/{id}": {"path id": "provider"},
    "POST /api/admin/ssoProvider/{id}/test": {"path id": "provider"},
}
"""Route -> place -> kind of id."""
_SUPER = ("/api/user/assistant/{id}", "/api/admin/", "/api/user/institutionSendInvite", "/api/user/institutionCreate")
SUPER_REACHES = {route for route in PLACES if any(path in route for path in _SUPER)}
"""Where a super administrator does see what is others' (reference content 2.5 to 2.8): judged for everybody else."""
UNDECLARED = {CHAT: {place for place in PLACES[CHAT] if place.startswith("header ")} | {"body model"}}
"""Places that a route reads by hand, so that no walk can see them; the tests of that face name each."""
NOT_OURS = {"modelId"}
"""What a vendor calls a model: no id of this server."""
EVENTS = {"cancel_request": "turn", "cancel_streaming": "turn"}
NO_IDS = {"register", "register_user", "REGISTER"}
"""Events that take tokens alone."""
FOR_EVERYBODY = {
    "GET /sso/{slug}": {"path slug"},
    "POST /api/admin/ssoProvider": {"body clientId"},
    "PUT /api/admin/ssoProvider/{id}": {"body clientId"},
}
"""Places that take names of no secret, or of things that are not ours."""
